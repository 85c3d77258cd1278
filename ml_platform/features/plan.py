"""The feature plan: everything needed to turn raw rows into features, in training and in the server alike.

It goes into the bundle as JSON with the author's code beside it. Only key, event time and inputs enter a plan, so
nothing that becomes known later can leak into a feature.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from ml_platform.contracts.errors import SchemaMismatch, SpecError
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.features.authored import call_function, load_function
from ml_platform.features.lookups import LookupPlan, PreparedLookups, join_lookup, prepare_lookup
from ml_platform.features.types import require_columns, require_instant, widen


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
        Joined in this order, before the author's function.
    function : str or None
        Name of the author's function `frame -> frame` in `code`.
    code : str or None
        Source text of the author's feature module.
    """

    key: tuple[str, ...]
    event_time: str
    inputs: tuple[str, ...]
    columns: tuple[str, ...]
    lookups: tuple[LookupPlan, ...]
    function: str | None
    code: str | None

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
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], code: str | None) -> "FeaturePlan":
        """Read what `to_json` gave, with the code."""
        return cls(
            key=tuple(value["key"]),
            event_time=value["event_time"],
            inputs=tuple(value["inputs"]),
            columns=tuple(value["columns"]),
            lookups=tuple(LookupPlan.from_json(lookup) for lookup in value["lookups"]),
            function=value["function"],
            code=code,
        )

    def prepare_lookups(self, lookups: Mapping[str, pl.DataFrame]) -> PreparedLookups:
        """Check, cast and sort the lookups once for many calls of `transform`.

        Raises
        ------
        SchemaMismatch
            If a lookup is missing, or is not what the plan needs.
        """
        if missing := [plan.name for plan in self.lookups if plan.name not in lookups]:
            raise SchemaMismatch.because(
                "lookups", got=f"no {', '.join(missing)}", expected="every lookup of the plan", hint="load it first"
            )
        return PreparedLookups({plan.name: prepare_lookup(plan, lookups[plan.name]) for plan in self.lookups})

    def transform(self, frame: pl.DataFrame, lookups: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Make the features of raw rows.

        Parameters
        ----------
        frame : pl.DataFrame
            Raw rows; columns that are not of the plan are dropped first.
        lookups : mapping of str to pl.DataFrame
            Lookup tables by name, or what `prepare_lookups` gave.

        Returns
        -------
        pl.DataFrame
            Key, event time and features, in the order of the rows given.

        Raises
        ------
        SchemaMismatch
            If a raw column or a lookup is not what the plan needs.
        SpecError
            If the author's code fails, changes the rows or leaves a feature out.
        """
        require_columns("raw rows", frame, self.raw_columns)
        rows = widen(frame.select(self.raw_columns))
        require_instant("raw rows", rows, self.event_time)
        prepared = lookups if isinstance(lookups, PreparedLookups) else self.prepare_lookups(lookups)
        built = rows
        for plan in self.lookups:
            built = join_lookup(plan, built, prepared[plan.name], self.event_time)
        if self.code is not None and self.function is not None:
            built = call_function(load_function(self.code, self.function), built)
        self._check_built(rows, built)
        asked = {name: rows[name] for name in (*self.key, self.event_time)}
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
        lookups = {name: pl.DataFrame(schema=dict(schema)) for name, schema in lookup_schemas.items()}
        built = self.transform(pl.DataFrame(schema=dict(input_schema)), lookups)
        return {name: built.schema[name] for name in self.columns}

    def _check_built(self, rows: pl.DataFrame, built: pl.DataFrame) -> None:
        if missing := [name for name in (*self.key, *self.columns) if name not in built.columns]:
            raise SpecError.because(
                "features",
                got=f"no column {', '.join(missing)}",
                expected=f"key and columns {', '.join(self.columns)}",
                hint="name only inputs, lookup columns (<lookup>_<column>) and columns that the feature function makes",
            )
        if not all(built[name].equals(rows[name]) for name in self.key):
            raise SpecError.because(
                f"feature function {self.function}",
                got=f"{built.height} rows or another order",
                expected=f"the same {rows.height} rows in the same order",
                hint="add columns; do not filter, join or sort",
            )
