"""The feature plan: everything needed to turn raw rows into features, in training and in the server alike.

It goes into the bundle as JSON with the author's code beside it. Of a row only key, event time and inputs enter a plan,
and of the rows before it only what was known, so nothing that becomes known later can leak into a feature.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from ml_platform.contracts.errors import ContractError, SchemaMismatch, SpecError, examples
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.features.authored import call_function, load_function
from ml_platform.features.expressions import evaluate, localize
from ml_platform.features.lookups import LookupPlan, PreparedLookups, join_lookup, prepare_lookup
from ml_platform.features.types import require_columns, require_instant, widen
from ml_platform.features.window_plan import HISTORY, HistoryPlan
from ml_platform.features.windows import PreparedHistory, compute_windows, prepare_history

PLAN = "plan"


@dataclass(frozen=True)
class FeaturePlan:
    """From the columns known when a prediction is asked for to the columns a model sees.

    Parameters
    ----------
    key : tuple of str
        Columns that identify a row.
    event_time : str
        Column with the instant at which the prediction is asked for.
    inputs : tuple of str
        Further raw columns a feature may be made of.
    columns : tuple of str
        The features, in the model's order.
    lookups : tuple of LookupPlan
        Joined in this order, first of all.
    history : HistoryPlan or None
        The windows, made after the lookups; None if there are none.
    derive : tuple of (str, str)
        Name and SQL expression of each derived column, in this order, after the windows.
    timezone : str
        In which SQL expressions see instants.
    function : str or None
        Name of the author's function `frame -> frame` in `code`.
    code : str or None
        Source text of the author's feature module; its function comes last.
    """

    key: tuple[str, ...]
    event_time: str
    inputs: tuple[str, ...]
    columns: tuple[str, ...]
    lookups: tuple[LookupPlan, ...]
    function: str | None
    code: str | None
    history: HistoryPlan | None = None
    derive: tuple[tuple[str, str], ...] = ()
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if (self.function is None) != (self.code is None):
            raise SpecError.because(
                "features.python",
                got="one of function and code alone",
                expected="both or none",
                hint="hand over the text of the module that features.python names",
            )

    @classmethod
    def from_spec(cls, spec: PipelineSpec, code: str | None) -> "FeaturePlan":
        """Make the plan of a pipeline.

        Parameters
        ----------
        spec : PipelineSpec
            The author's declaration.
        code : str or None
            Source text of the module that `features.python` names; None if it names none.

        Raises
        ------
        SpecError
            If a feature would see the label, or code and `features.python` do not go together.
        """
        features = spec.features
        inputs = tuple(name for name in features.inputs if name not in (*spec.key, spec.event_time))
        leaks = {spec.label.column, spec.label.known_at} & {*spec.key, spec.event_time, *inputs}
        if leaks:
            raise SpecError.because(
                "features.inputs", got=", ".join(sorted(leaks)), expected="no column of the label", hint="take it out"
            )
        return cls(
            key=tuple(spec.key),
            event_time=spec.event_time,
            inputs=inputs,
            columns=tuple(features.columns),
            lookups=tuple(
                LookupPlan(name, tuple(lookup.by), lookup.known_at, lookup.tolerance)
                for name, lookup in features.lookups.items()
            ),
            function=None if features.python is None else features.python.rpartition(".")[2],
            code=code,
            history=HistoryPlan.from_spec(spec, inputs),
            derive=tuple(features.derive.items()),
            timezone=spec.partitions.timezone,
        )

    @property
    def raw_columns(self) -> tuple[str, ...]:
        """Key, event time and inputs: all that enters, and the fields of a request."""
        return tuple(dict.fromkeys((*self.key, self.event_time, *self.inputs)))

    def to_json(self) -> dict[str, Any]:
        """Give a JSON object without the code, which lies beside it as a file."""
        return {
            "key": list(self.key),
            "event_time": self.event_time,
            "inputs": list(self.inputs),
            "columns": list(self.columns),
            "lookups": [lookup.to_json() for lookup in self.lookups],
            "function": self.function,
            "history": None if self.history is None else self.history.to_json(),
            "derive": [list(each) for each in self.derive],
            "timezone": self.timezone,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], code: str | None) -> "FeaturePlan":
        """Read what `to_json` gave, with the code; a plan of before windows and derive has none."""
        history = value.get("history")
        return cls(
            key=tuple(value["key"]),
            event_time=value["event_time"],
            inputs=tuple(value["inputs"]),
            columns=tuple(value["columns"]),
            lookups=tuple(LookupPlan.from_json(lookup) for lookup in value["lookups"]),
            function=value["function"],
            code=code,
            history=None if history is None else HistoryPlan.from_json(history),
            derive=tuple((name, sql) for name, sql in value.get("derive", [])),
            timezone=value.get("timezone", "UTC"),
        )

    @cached_property
    def digest(self) -> str:
        """Twelve hex digits of all that determines the value of a feature."""
        content = json.dumps([self.to_json(), self.code], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @property
    def lookup_names(self) -> tuple[str, ...]:
        """What `transform` must be given: the lookups and, for windows, `history`."""
        return (*(lookup.name for lookup in self.lookups), *([] if self.history is None else [HISTORY]))

    def prepare(self, name: str, lookup: pl.DataFrame) -> "pl.DataFrame | PreparedHistory":
        """Check, cast and sort one lookup, or the history; raises like `prepare_lookups`."""
        if self.history is not None and name == HISTORY:
            return prepare_history(self.history, lookup)
        return prepare_lookup(next(plan for plan in self.lookups if plan.name == name), lookup)

    def prepare_lookups(self, lookups: Mapping[str, pl.DataFrame]) -> PreparedLookups:
        """Check, cast and sort the lookups and the history once for many calls of `transform`.

        Raises
        ------
        SchemaMismatch
            If a lookup is missing, or is not what the plan needs.
        """
        if missing := [name for name in self.lookup_names if name not in lookups]:
            raise SchemaMismatch.because(
                "lookups", got=f"no {', '.join(missing)}", expected="every lookup of the plan", hint="load it first"
            )
        return PreparedLookups({name: self.prepare(name, lookups[name]) for name in self.lookup_names})

    def transform(self, frame: pl.DataFrame, lookups: Mapping[str, pl.DataFrame] | PreparedLookups) -> pl.DataFrame:
        """Make the features of raw rows.

        Parameters
        ----------
        frame : pl.DataFrame
            Raw rows; columns that are not of the plan are dropped first.
        lookups : mapping of str to pl.DataFrame
            Lookup tables by name, and `history` for windows, or what `prepare_lookups` gave.

        Returns
        -------
        pl.DataFrame
            Key, event time and features, in the order of the rows given.

        Raises
        ------
        SchemaMismatch
            If a raw column or a lookup is not what the plan needs.
        SpecError
            If the author's SQL or code fails, changes the rows or leaves a feature out.
        """
        return self.compute(self.join(frame, lookups))

    def join(self, frame: pl.DataFrame, lookups: Mapping[str, pl.DataFrame] | PreparedLookups) -> pl.DataFrame:
        """Return raw rows with lookups, windows and `derive`: what the author's function is given; see `transform`."""
        require_columns("raw rows", frame, self.raw_columns)
        rows = widen(frame.select(self.raw_columns))
        require_instant("raw rows", rows, self.event_time)
        prepared = lookups if isinstance(lookups, PreparedLookups) else self.prepare_lookups(lookups)
        built = rows
        for plan in self.lookups:
            built = join_lookup(plan, built, prepared.tables[plan.name], self.event_time)
        if self.history is not None:
            built = built.hstack(compute_windows(built, prepared.history, self.event_time))
        return self._derive(built)

    def compute(self, joined: pl.DataFrame) -> pl.DataFrame:
        """Return the features of rows that `join` made; see `transform`."""
        built = joined
        if self.code is not None and self.function is not None:
            built = call_function(load_function(self.code, self.function), built)
        self._check_built(joined, built)
        asked = {name: joined[name] for name in (*self.key, self.event_time)}
        return widen(pl.DataFrame(asked | {name: built[name] for name in self.columns}))

    def output_types(
        self, input_schema: Mapping[str, pl.DataType], lookup_schemas: Mapping[str, Mapping[str, pl.DataType]]
    ) -> dict[str, pl.DataType]:
        """Learn the features' types by a run on empty frames.

        Raises
        ------
        SpecError or SchemaMismatch
            As `transform`: a plan that cannot work is found before any data is read.
        """
        built = self.compute(self.join_empty(input_schema, lookup_schemas))
        return {name: built.schema[name] for name in self.columns}

    def join_empty(
        self, input_schema: Mapping[str, pl.DataType], lookup_schemas: Mapping[str, Mapping[str, pl.DataType]]
    ) -> pl.DataFrame:
        """Return a frame of no rows with the columns that the author's function is given; raises as `transform`."""
        lookups = {name: pl.DataFrame(schema=dict(schema)) for name, schema in lookup_schemas.items()}
        return self.join(pl.DataFrame(schema=dict(input_schema)), lookups)

    def _derive(self, built: pl.DataFrame) -> pl.DataFrame:
        if not self.derive:
            return built
        local = localize(built, self.timezone)
        for name, sql in self.derive:
            local = local.with_columns(evaluate(f"features.derive.{name}", sql, local).alias(name))
        return widen(local)

    def _check_built(self, rows: pl.DataFrame, built: pl.DataFrame) -> None:
        if missing := [name for name in (*self.key, *self.columns) if name not in built.columns]:
            raise SpecError.because(
                "features",
                got=f"no column {', '.join(missing)}",
                expected=f"key and columns {', '.join(self.columns)}",
                hint="name only inputs, lookup columns (<lookup>_<column>), windows, names of derive and columns that "
                "the feature function makes",
            )
        if not all(built[name].equals(rows[name]) for name in self.key):
            raise SpecError.because(
                f"feature function {self.function}",
                got=f"{built.height} rows or another order",
                expected=f"the same {rows.height} rows in the same order",
                hint="add columns; do not filter, join or sort",
            )


def require_one_plan(features: pl.DataFrame, digest: str) -> pl.DataFrame:
    """Give stored features without the column `plan`, if this very plan made all of them.

    Parameters
    ----------
    features : pl.DataFrame
        With `partition` and `plan`, the digest of the plan that made each row.
    digest : str
        Of the plan that is expected.

    Raises
    ------
    ContractError
        Naming the partitions that another plan made.
    """
    made_by = pl.col(PLAN) if PLAN in features.columns else pl.lit(None, pl.String)
    others = features.filter(made_by.ne_missing(pl.lit(digest)))["partition"].unique().sort()
    if len(others):
        raise ContractError.because(
            "features", got=f"partitions that another plan made: {examples(others)}", expected=f"plan {digest}",
            hint="what features are made of has changed since: materialize features of these partitions again, or run "
            "the pipeline's refresh job",
        )  # fmt: skip
    return features.drop(PLAN, strict=False)
