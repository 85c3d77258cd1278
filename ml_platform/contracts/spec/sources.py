"""Where rows come from, and what makes them good enough: sources and quality."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ml_platform.contracts.spec.parts import PythonPath, Share, SomeTime, SpecPart, SqlExpression, Variable, Zone

CheckName = Literal[
    "rows_at_least", "volume_is_usual", "key_is_unique", "nulls_are_few", "categories_are_known", "values_in_range",
    "data_is_fresh", "few_rows_quarantined", "expectations",
]  # fmt: skip


def _separates(value: str) -> str:
    if not value.isascii() or value in '"\r\n\0':
        raise ValueError("expected an ASCII character other than a quote or a line end")
    return value


def _text_encoding(value: str) -> str:
    try:
        "a".encode(value)
    except LookupError:
        raise ValueError("expected an encoding of text that Python knows, like utf-8, utf-16 or cp1252") from None
    return value


def _time_format(value: str) -> str:
    if "%" not in value or "%Z" in value:
        raise ValueError("expected a format like %d/%m/%Y %H:%M; a zone by name (%Z) is not read, set timezone instead")
    return value


class _Tabular(SpecPart):
    """What every source may do with its rows before the schema sees them, in SQL over its own columns.

    `derive` adds columns (a target, for instance); `where` keeps the rows for which it is true, and may use those.
    """

    derive: dict[str, SqlExpression] = {}
    where: SqlExpression | None = None


class PythonSource(_Tabular):
    """A function `window -> pandas frame` that gives the rows whose event time lies in the window."""

    kind: Literal["python"]
    load: PythonPath


class FilesSource(_Tabular):
    """CSV or Parquet files: a glob, or a template with `{partition}` or `{partition:%Y/%m}` in it.

    A relative path is looked up from the folder of the YAML file; a URL (`s3://`, `gs://`, `az://`, `dvc://`, ...) goes
    through fsspec, with the options that the variable `options_env` holds as JSON. Each column of a CSV file is read by
    the schema's types: numbers and true/false as usually written, times by `time_formats` in turn and else by ISO 8601,
    in `timezone` (the pipeline's, if left out) where they name no zone. Of a time that the clocks went through twice
    the first is meant; one that they skipped, like any value that cannot be read, rejects its row.
    """

    kind: Literal["files"]
    path: Annotated[str, Field(min_length=1, max_length=1000)]
    format: Literal["csv", "parquet"] | None = None
    options_env: Variable | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1), AfterValidator(_separates)] = ","
    encoding: Annotated[str, AfterValidator(_text_encoding)] = "utf-8"
    time_formats: list[Annotated[str, AfterValidator(_time_format)]] = []
    timezone: Zone | None = None
    null_values: list[str] = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
    empty: Literal["refuse", "allow"] = "refuse"


class SqlSource(_Tabular):
    """A query with `:start` and `:end`, run against the SQLAlchemy URL that the variable `url_env` holds."""

    kind: Literal["sql"]
    url_env: Variable
    query: Annotated[str, Field(min_length=1, max_length=20_000)]
    timezone: Zone | None = None

    @model_validator(mode="after")
    def _asks_for_a_window(self) -> Self:
        if ":start" not in self.query or ":end" not in self.query:
            raise ValueError("expected :start and :end in the query, so that it gives one window")
        return self


Source = Annotated[PythonSource | FilesSource | SqlSource, Field(discriminator="kind")]


class ValueRange(SpecPart):
    """Bounds of a numeric column, both included, and the share of rows that may lie outside."""

    at_least: float | None = None
    at_most: float | None = None
    outside_at_most: Share = 0.0

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("expected at_least, at_most or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("expected at_least no larger than at_most")
        return self


class Quality(SpecPart):
    """What a partition must be to be trusted. Each part that is set is an asset check of its own.

    Beyond `quarantine_at_most` nothing of a partition is written. Another check that fails makes the partition's
    verdict `fail`, so that no training set takes it; a check named in `warn` only says so. What is compared with the
    past (`volume_change_at_most`, the change of the row count as a share of the trailing median, and
    `new_categories_at_most`, the share of rows with a value the past did not have) looks at `trailing` partitions.
    """

    quarantine_at_most: Share = 0.05
    rows_at_least: Annotated[int, Field(ge=0)] = 1
    volume_change_at_most: Annotated[float, Field(gt=0)] | None = None
    null_share_at_most: dict[str, Share] = {}
    new_categories_at_most: dict[str, Share] = {}
    ranges: dict[str, ValueRange] = {}
    fresh_within: SomeTime | None = None
    trailing: Annotated[int, Field(ge=1, le=1000)] = 28
    expectations: str | None = None
    warn: list[CheckName] = []
