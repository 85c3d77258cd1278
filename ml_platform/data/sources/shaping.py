"""From the columns of a source to the rows of its schema: cast, derive, filter, and say of each bad row what is wrong.

Every kind of source that can have a bad row passes through here; where the columns come from is not known here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import polars as pl

from ml_platform.contracts.errors import SchemaMismatch, examples
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.sources.casting import TextRules, blanks, cast, type_name
from ml_platform.data.sources.expressions import GUESSES, Expressions
from ml_platform.data.sources.loaded import CONTENT, ORIGIN, REASON, Target

PLACE = "__place"  # the line of a file, the number of a row
CELL_AT_MOST = 1000  # characters of a rejected row's cell that are kept
_VALUE_AT_MOST = 60
_GUESSED_FROM = 10_000  # rows


@dataclass(frozen=True)
class Shaped:
    """Rows of a part of a source.

    Parameters
    ----------
    good : frame
        The schema's columns, `partition`, and the place of each row.
    bad : frame
        `partition` (null where no time could be read), reason, origin, content.
    filtered : series
        The partitions of the rows that `where` left out.
    """

    good: pl.DataFrame
    bad: pl.DataFrame
    filtered: pl.Series


@dataclass(frozen=True)
class Shaper:
    """How the columns of a source become rows.

    Parameters
    ----------
    target : Target
        What they must become.
    expressions : Expressions
        What the author derives and keeps.
    rules : TextRules
        How text is read.
    guessed : mapping
        Types of the columns that only expressions read.
    """

    target: Target
    expressions: Expressions
    rules: TextRules
    guessed: Mapping[str, pl.DataType] = field(default_factory=dict)

    @cached_property
    def plain(self) -> list[str]:
        """The schema's columns that the source itself has."""
        return [name for name in self.target.types if name not in self.expressions.derive]

    @cached_property
    def reads(self) -> list[str]:
        """Every column that the source must have."""
        return list(dict.fromkeys([*self.plain, *self.expressions.reads]))

    def require(self, what: str, names: list[str]) -> None:
        """Refuse a source without a column that is needed.

        Raises
        ------
        SchemaMismatch
            Names every such column.
        """
        if missing := [name for name in self.reads if name not in names]:
            raise SchemaMismatch.because(
                f"{what}: missing columns", got=examples(names), expected=examples(missing),
                hint="mend the source, or the schema and the expressions",
            )  # fmt: skip

    def guess(self, frame: pl.DataFrame) -> "Shaper":
        """Settle the types of columns that only expressions read: text that mostly reads as a number is one."""
        guesses = {
            name: self._guesses(frame[name].head(_GUESSED_FROM)) for name in self.reads if name not in self.plain
        }
        known = {name: self.target.types[name] for name in self.plain}
        fitted = self.expressions.fit(known, guesses)
        return replace(self, guessed={name: fitted[name] for name in guesses})

    def shape(self, what: str, frame: pl.DataFrame) -> Shaped:
        """Shape rows.

        Parameters
        ----------
        what : str
            The source, as errors and origins name it.
        frame : (n_rows, ...)
            The columns of `reads`, text or typed, and the place of each row.

        Raises
        ------
        SchemaMismatch
            If a column holds a type of which no value can be read.
        """
        types, faults = self.target.types, _Faults()
        plain = {name: types[name] for name in self.plain}
        made = self.expressions.derived(self._cast(what, frame, plain | dict(self.guessed), faults))
        rows = self._cast(what, made, types, faults)
        for name in (*self.target.never_null, self.target.event_time):
            faults.add(name, rows[name].is_null(), pl.lit(f"{name}: no value"))
        rows = rows.with_columns(self.target.calendar.keys_of(pl.col(self.target.event_time)).alias(PARTITION))
        reason, kept = faults.reasons(len(frame)), self.expressions.keeps(made)
        is_out = ~kept.fill_null(value=False) & (kept.is_not_null() | reason.is_null())
        is_bad = reason.is_not_null() & ~is_out
        return Shaped(
            good=rows.with_columns(frame[PLACE]).filter(~is_bad & ~is_out),
            bad=rejected_rows(
                what,
                frame.select(*self.reads, PLACE).filter(is_bad),
                rows[PARTITION].filter(is_bad),
                reason.filter(is_bad),
            ),
            filtered=rows[PARTITION].filter(is_out),
        )

    def _cast(
        self, what: str, frame: pl.DataFrame, types: Mapping[str, pl.DataType], faults: "_Faults"
    ) -> pl.DataFrame:
        read: dict[str, pl.Series] = {}
        wrong: list[str] = []
        for name, dtype in types.items():
            try:
                read[name] = cast(frame[name], dtype, self.rules)
            except TypeError as error:
                wrong.append(f"{name} ({error}, not {type_name(dtype)})")
                continue
            if read[name].null_count() > frame[name].null_count():  # no other column has lost a value
                is_lost = read[name].is_null() & ~blanks(frame[name], self.rules)
                faults.add(name, is_lost, pl.format(f"{name}: '{{}}' is not {type_name(dtype)}", _short(frame[name])))
        if wrong:
            raise SchemaMismatch.because(
                f"{what}: wrong types", got=examples(wrong), expected="the declared types",
                hint="convert them in the source, or by an expression in source.derive",
            )  # fmt: skip
        return pl.DataFrame(read)

    def _guesses(self, values: pl.Series) -> list[pl.DataType]:
        if values.dtype.is_numeric():
            return [pl.Float64()]  # a later part of the source may have fractions where the first has none
        if values.dtype not in (pl.String, pl.Null):
            return [values.dtype]
        given = len(values) - blanks(values, self.rules).sum()
        return [dtype for dtype in GUESSES if 2 * cast(values, dtype, self.rules).count() >= given]


@dataclass(frozen=True)
class _Faults:
    """What is wrong with each row, by column: one fault a column."""

    found: dict[str, pl.Series] = field(default_factory=dict)

    def add(self, name: str, where: pl.Series, said: pl.Expr) -> None:
        if not where.any():
            return
        fault = pl.select(pl.when(where).then(said)).to_series()
        earlier = self.found.get(name)
        self.found[name] = fault if earlier is None else earlier.zip_with(earlier.is_not_null(), fault)

    def reasons(self, rows: int) -> pl.Series:
        if not self.found:
            return pl.Series([None], dtype=pl.String).new_from_index(0, rows)
        said = pl.select(pl.concat_str(list(self.found.values()), separator="; ", ignore_nulls=True)).to_series()
        return said.set(said == "", None)


def rejected_rows(what: str, frame: pl.DataFrame, partition: pl.Series, reason: pl.Series) -> pl.DataFrame:
    """Describe rows that are refused: where each stood, why, and its content as JSON."""
    content = [pl.col(name).cast(pl.String, strict=False) for name in frame.columns if name != PLACE]
    return frame.select(
        partition.alias(PARTITION),
        reason.alias(REASON),
        pl.format("{}:{}", pl.lit(what), pl.col(PLACE)).alias(ORIGIN),
        pl.struct(each.str.slice(0, CELL_AT_MOST) for each in content).struct.json_encode().alias(CONTENT),
    )


def _short(values: pl.Series) -> pl.Series:
    return values.cast(pl.String, strict=False).str.slice(0, _VALUE_AT_MOST)
