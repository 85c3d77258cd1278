"""A bounded sample of somebody's files, with types: what every choice of a new pipeline is made from."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from ml_platform.authoring.key import is_named_like_a_key
from ml_platform.authoring.reading import Files
from ml_platform.authoring.settling import settle_time_formats, settle_types
from ml_platform.authoring.wanted import Wanted
from ml_platform.contracts.errors import NotEnoughRows, SchemaMismatch, SpecError, examples
from ml_platform.contracts.spec import FilesSource
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.quality.frozen_schema import FrozenSchema, infer_schema
from ml_platform.data.sources.casting import TextRules, blanks, cast
from ml_platform.data.sources.expressions import Expressions
from ml_platform.data.sources.locations import Location
from ml_platform.features.types import POLARS_TYPES, colliding_names

COLUMNS_AT_MOST = 200  # without --columns
UNREADABLE_AT_MOST = 0.1
_DELIMITERS = {";": "';'", "\t": "$'\\t'", "|": "'|'"}


@dataclass(frozen=True)
class Sample:
    """What was read of the files.

    Parameters
    ----------
    rows : (n_rows, n_columns)
        Sampled rows that the author's condition keeps, the target among their columns, times in the pipeline's zone.
    schema : FrozenSchema
        Of these columns.
    source : mapping
        Fields of the source, as a spec has them.
    rows_by_day : mapping of date to int
        Of all files.
    unreadable_share : float
        Share of sampled rows with a value that is not what its column is.
    timeless : int
        Most rows of one file in which no time could be read.
    target_columns : tuple of str
        Columns that a derived target is made of.
    missing : mapping of str to str
        Columns that are not read, for some file lacks them, and the first such file.
    """

    rows: pl.DataFrame
    schema: FrozenSchema
    source: Mapping[str, Any]
    rows_by_day: Mapping[date, int]
    unreadable_share: float
    timeless: int
    target_columns: tuple[str, ...]
    missing: Mapping[str, str]


def read_sample(wanted: Wanted, folder: Path) -> Sample:
    """Read a sample, settle its types, and count all rows by day.

    Parameters
    ----------
    folder : Path
        Where a relative path begins.

    Raises
    ------
    SpecError
        If what the author names is not there.
    PlatformError
        If the files cannot be read as a table, or too little of them.
    """
    expressions = Expressions({wanted.label: wanted.target_sql} if wanted.target_sql else {}, wanted.where)
    source = _source(wanted, ())
    files = Files(Location(source, folder))
    columns = _columns(files, wanted, expressions)
    text = files.sample(columns)
    if text.is_empty():
        got = f"no row in {len(files.found)} files"
        raise NotEnoughRows.because(wanted.data, got=got, expected="rows to look at", hint="name files that have some")
    rules = TextRules(wanted.timezone, (), source.null_values)
    text = text.with_columns(pl.when(~blanks(text[name], rules)).then(pl.col(name)).alias(name) for name in columns)
    times = [name for name in (wanted.time, wanted.known_at) if name]
    formats = tuple(
        dict.fromkeys(form for name in times for form in settle_time_formats(text[name], wanted.time_formats))
    )
    rules = TextRules(wanted.timezone, formats, source.null_values)
    kinds = settle_types(text, formats)
    _require_times(text, kinds, times)
    types = {name: POLARS_TYPES[kind] for name, kind in kinds.items()}
    typed, unreadable = _typed(text, types, rules)
    expressions.fit(types)
    made = expressions.derived(typed)
    rows = made.filter(expressions.keeps(made).fill_null(value=False))
    if rows.is_empty():
        raise NotEnoughRows.because(
            wanted.data,
            got="no row that can be used in the sample",
            expected="some",
            hint="check --where and the files",
        )
    required = (wanted.time, *wanted.key)
    counted = files.count(wanted.time, wanted.timezone, expressions, types, rules)
    return Sample(
        rows=rows.with_columns(pl.col(pl.Datetime).dt.convert_time_zone(wanted.timezone)),
        schema=infer_schema(rows, required), source=_written(wanted, formats), rows_by_day=counted.rows_by_day,
        unreadable_share=unreadable, timeless=counted.timeless, missing=files.missing,
        target_columns=tuple(Expressions({wanted.label: wanted.target_sql}).reads) if wanted.target_sql else (),
    )  # fmt: skip


def _columns(files: Files, wanted: Wanted, expressions: Expressions) -> list[str]:
    """Give the columns to read: all that every file has; where those are very many, the named and likely keys."""
    named = {
        "--time": [wanted.time], "--target": [] if wanted.target_sql else [wanted.label], "--key": wanted.key,
        "--known-at": [wanted.known_at] if wanted.known_at else [], "--columns": wanted.columns,
        "--target-sql or --where": [name for name in expressions.reads if name not in expressions.derive],
    }  # fmt: skip
    there = files.columns
    _require(files, named)
    _require_distinct([PARTITION, wanted.label, *(name for name in there if name not in (PARTITION, wanted.label))])
    if wanted.target_sql and wanted.label in there:
        raise SpecError.because(
            f"--target {wanted.label}", got="a column of the files", expected="a new name for --target-sql",
            hint="choose another, or leave --target-sql out",
        )  # fmt: skip
    if not wanted.columns and len(there) > COLUMNS_AT_MOST:
        raise SpecError.because(
            wanted.data, got=f"{len(there)} columns", expected=f"at most {COLUMNS_AT_MOST} without --columns",
            hint="name the columns that may be features: --columns a,b,c",
        )  # fmt: skip
    asked = {name for names in named.values() for name in names}
    few = len(there) <= COLUMNS_AT_MOST
    return [name for name in there if few or name in asked or is_named_like_a_key(name)]


def _require(files: Files, named: Mapping[str, Sequence[str]]) -> None:
    there, missing = files.columns, files.missing
    faults = [(option, name) for option, names in named.items() for name in names if name not in there]
    if not faults:
        return
    raise SpecError("\n".join(_told(option, name, there, missing) for option, name in faults))


def _require_distinct(names: Sequence[str]) -> None:
    if pairs := colliding_names(names):
        raise SpecError.because(
            "the files", got=f"columns {examples(f'{one} and {other}' for one, other in pairs)}",
            expected="names that differ in more than capital letters: a table cannot hold both",
            hint="rename one of them in the files; partition is a column of the platform",
        )  # fmt: skip


def _told(option: str, name: str, there: Sequence[str], missing: Mapping[str, str]) -> str:
    of = f"every file, and {missing[name]} lacks it" if name in missing else "the files"
    return f"{option}: got {name}, expected a column of {of}. Hint: {_hint(name, there)}"


def _hint(name: str, there: Sequence[str]) -> str:
    if len(there) == 1 and (found := [shown for sign, shown in _DELIMITERS.items() if sign in there[0]]):
        return f"the files seem to be divided otherwise: --delimiter {found[0]}"
    close = difflib.get_close_matches(name, there, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {examples(there)}"


def _require_times(text: pl.DataFrame, kinds: Mapping[str, str], times: Iterable[str]) -> None:
    for name in times:
        if kinds[name] != "timestamp":
            raise SchemaMismatch.because(
                f"times in {name}", got=examples(text[name].drop_nulls().unique(maintain_order=True)) or "none",
                expected="instants in nearly every row, in ISO 8601 or in one known format",
                hint="name another column, or their format: --time-format '%d.%m.%Y %H:%M'",
            )  # fmt: skip


def _typed(text: pl.DataFrame, types: Mapping[str, pl.DataType], rules: TextRules) -> tuple[pl.DataFrame, float]:
    """Read each column as its type; gives the rows without a value that is none, and the share of the others."""
    typed = text.with_columns(cast(text[name], dtype, rules) for name, dtype in types.items())
    bad = pl.select(pl.any_horizontal(typed[name].is_null() & text[name].is_not_null() for name in types)).to_series()
    share = bad.to_numpy().sum() / max(1, len(bad))
    if share > UNREADABLE_AT_MOST:
        raise SchemaMismatch.because(
            "the files", got=f"{share:.0%} of sampled rows with a value that is not what its column is",
            expected=f"at most {UNREADABLE_AT_MOST:.0%}", hint="leave the column out with --columns, or mend the files",
        )  # fmt: skip
    return typed.filter(~bad), share


def _source(wanted: Wanted, formats: tuple[str, ...]) -> FilesSource:
    return FilesSource.model_validate(_written(wanted, formats))


def _written(wanted: Wanted, formats: tuple[str, ...]) -> dict[str, Any]:
    given = {
        "delimiter": wanted.delimiter, "encoding": wanted.encoding, "time_formats": list(formats),
        "derive": {wanted.label: wanted.target_sql} if wanted.target_sql else None, "where": wanted.where,
        "timezone": wanted.timezone if wanted.timezone != "UTC" else None,
    }  # fmt: skip
    return {"kind": "files", "path": wanted.data} | {name: value for name, value in given.items() if value}
