"""What an author says of a new pipeline: the same words on the command line and in Dagster's scaffolder."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ml_platform.contracts.errors import SpecError
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec.partitions import Cadence
from ml_platform.contracts.spec.parts import NAME, SqlExpression, Zone, read_duration

LEVELS_AT_MOST = 5
DERIVED_TARGET = "target"


def _duration(value: str) -> str:
    read_duration(value)
    return value


KnownAfter = Annotated[str, AfterValidator(_duration)]


class Wanted(BaseModel):
    """What is known of the pipeline beside its name; all the rest is read from the data."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    data: Annotated[
        str, Field(alias="from", min_length=1, max_length=1000, description="CSV or Parquet files, as a glob.")
    ]
    time: Annotated[str, Field(min_length=1, description="Column with the moment at which a prediction is asked for.")]
    target: Annotated[str | None, Field(description="Column to predict; with target_sql the name it gets.")] = None
    target_sql: Annotated[SqlExpression | None, Field(description="The target as SQL over the columns.")] = None
    where: Annotated[SqlExpression | None, Field(description="SQL condition on the rows that count.")] = None
    task: Annotated[Task | None, Field(description="Left out: told by the target.")] = None
    quantile: Annotated[
        float | None, Field(gt=0, lt=1, description="Of a number: predict this quantile instead of the mean.")
    ] = None
    key: Annotated[list[str], Field(description="Columns that identify a row; left out: a unique one.")] = []
    every: Annotated[Cadence | None, Field(description="Partitions; left out: by the number of rows.")] = None
    timezone: Annotated[Zone, Field(description="Zone of times without one, and of a day's midnight.")] = "UTC"
    known_after: Annotated[
        KnownAfter | None, Field(description="How long after its time a target is known, like 1d.")
    ] = None
    known_at: Annotated[str | None, Field(description="Column with the moment at which the target became known.")] = (
        None
    )
    columns: Annotated[list[str], Field(description="Candidate features; left out: every column that may be one.")] = []
    time_formats: Annotated[list[str], Field(description="How times are written, like %d.%m.%Y %H:%M.")] = []
    delimiter: Annotated[str | None, Field(min_length=1, max_length=1, description="Left out: a comma.")] = None
    encoding: Annotated[str | None, Field(description="Left out: utf-8.")] = None
    level: Annotated[int, Field(ge=1, le=LEVELS_AT_MOST, description="How much is switched on, 1 to 5.")] = 2

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.target is None and self.target_sql is None:
            raise ValueError("expected target (a column), or target_sql (an expression)")
        if self.known_at is not None and self.known_after is not None:
            raise ValueError("expected at most one of known_at (a column) and known_after (a time like 1d)")
        return self

    @property
    def label(self) -> str:
        """Name of the column that is predicted."""
        return self.target or DERIVED_TARGET


def wanted(**given: object) -> Wanted:
    """Read what an author says.

    Raises
    ------
    SpecError
        Names each option that cannot be taken.
    """
    try:
        return Wanted.model_validate(given)
    except ValidationError as error:
        raise SpecError("\n".join(_told(detail) for detail in error.errors(include_url=False))) from None


def require_name(name: str) -> None:
    """Refuse a name that no pipeline can have.

    Raises
    ------
    SpecError
        If it is none.
    """
    if not re.fullmatch(NAME.strip("^$"), name):
        raise SpecError.because(
            "NAME",
            got=repr(name[:80]),
            expected="a small letter, then at most 62 of a-z, 0-9 and _",
            hint="it names a folder, the assets and the model: choose one like taxi_tips",
        )


def _told(detail: object) -> str:
    assert isinstance(detail, dict)  # noqa: S101 - pydantic's own
    option = "".join(f"--{step}".replace("_", "-") for step in detail["loc"][:1])
    said = detail["msg"].removeprefix("Value error, ")
    got = "" if not option else f"{option}: got {detail['input']!r}, "
    return f"{got}{said}. Hint: ml-platform new --help"
