"""The pipeline spec: what an author writes in `defs.yaml`, checked as far as the text alone allows.

Put a field here when an author should decide it. What needs the author's Python (does this column exist?) is checked in
`ml_platform.orchestration.resolution`, which knows how to import it.
"""

import re
from datetime import date, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from ml_platform.contracts.lightgbm_params import LightGBMParams
from ml_platform.contracts.metrics import MetricName
from ml_platform.contracts.records import FieldType

_DURATION = re.compile(r"(\d{1,5})([dh])")
_OWNER = re.compile(r"team:.+|\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}")  # what Dagster takes
_NAME = r"^[a-z][a-z0-9_]{0,62}$"
STAGES = frozenset(["raw", "validated", "features", "training_set", "candidate", "evaluation", "endpoint", "drift"])
TABLES = frozenset({"quarantine", "profiles"})  # in the lake, beside those of stages and lookups


def _read_duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a duration like 7d or 6h")
    amount = int(match[1])
    return timedelta(days=amount) if match[2] == "d" else timedelta(hours=amount)


def _write_duration(value: timedelta) -> str:
    hours = int(value.total_seconds() // 3600)
    return f"{hours}h" if hours % 24 else f"{hours // 24}d"


def _whole_days(value: timedelta) -> timedelta:
    if value % timedelta(days=1):
        raise ValueError("expected whole days, like 7d")
    return value


def _some_time(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("expected more than no time")
    return value


def _known_zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("expected an IANA time zone, like America/New_York")
    return value


def _owner(value: str) -> str:
    if not _OWNER.fullmatch(value):
        raise ValueError("expected an e-mail address or team:<name>")
    return value


def _distinct(names: list[str]) -> list[str]:
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise ValueError(f"expected each name once, not {', '.join(dict.fromkeys(twice))} again")
    return names


def _free_name(value: str) -> str:
    if value in STAGES | TABLES:
        raise ValueError(f"expected a name other than {', '.join(sorted(STAGES | TABLES))}")
    return value


Duration = Annotated[timedelta, BeforeValidator(_read_duration), PlainSerializer(_write_duration, return_type=str)]
Days = Annotated[Duration, AfterValidator(_whole_days)]
SomeDays = Annotated[Days, AfterValidator(_some_time)]
Share = Annotated[float, Field(ge=0, le=1)]
Owner = Annotated[str, AfterValidator(_owner)]
Names = Annotated[list[str], Field(min_length=1), AfterValidator(_distinct)]
LookupName = Annotated[str, Field(pattern=_NAME), AfterValidator(_free_name)]
PythonPath = Annotated[str, Field(pattern=r"^\.?[A-Za-z_][\w.]*\.[A-Za-z_]\w*$")]


class SpecPart(BaseModel):
    """Base of every part of the spec: frozen, and a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Partitions(SpecPart):
    """Which days the pipeline covers; `end` is excluded."""

    every: Literal["day"] = "day"
    start: date
    end: date
    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"

    @model_validator(mode="after")
    def _has_days(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"expected end after start, got start {self.start} and end {self.end}")
        return self

    @property
    def days(self) -> int:
        """Number of partitions."""
        return (self.end - self.start).days

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose midnight begins a partition."""
        return ZoneInfo(self.timezone)


class Source(SpecPart):
    """A function `window -> pandas frame` that gives the rows whose event time lies in the window."""

    kind: Literal["python"]
    load: PythonPath


class Label(SpecPart):
    """What is predicted, and the column that holds the instant at which it became known."""

    column: str
    task: Literal["binary"]
    known_at: str


class Quality(SpecPart):
    """Beyond `quarantine_at_most` a partition fails; below `rows_at_least` a check on it does."""

    quarantine_at_most: Share = 0.05
    rows_at_least: Annotated[int, Field(ge=1)] = 1


class Lookup(SpecPart):
    """A table that features join, by key and, if it has `known_at`, as it was known at the event time."""

    load: PythonPath
    by: Names
    columns: Annotated[dict[str, FieldType], Field(min_length=1)]
    known_at: str | None = None
    tolerance: Annotated[Duration, AfterValidator(_some_time)] | None = None

    @model_validator(mode="after")
    def _tolerance_needs_time(self) -> Self:
        if (self.known_at is None) != (self.tolerance is None):
            raise ValueError("expected known_at and tolerance together: how old may a joined value be?")
        return self


class Features(SpecPart):
    """From the columns known when the prediction is asked for, to the columns a model sees."""

    inputs: Names
    columns: Names
    python: PythonPath | None = None
    lookups: dict[LookupName, Lookup] = {}


class Split(SpecPart):
    """Lengths of the parts before the as-of instant, newest last: train, validation, holdout."""

    train: SomeDays
    train_at_least: SomeDays
    validation: SomeDays
    holdout: SomeDays
    embargo: Days = timedelta(0)

    @model_validator(mode="after")
    def _train_is_enough(self) -> Self:
        if self.train_at_least > self.train:
            raise ValueError("expected train_at_least no longer than train")
        return self

    @property
    def span(self) -> timedelta:
        """From the first training row to the as-of instant."""
        return self.train + self.validation + self.holdout + 2 * self.embargo


class LightGBMModel(SpecPart):
    """Gradient boosting; `params` go to LightGBM beside what the trainer sets."""

    kind: Literal["lightgbm"]
    params: LightGBMParams = {}
    rounds: Annotated[int, Field(ge=1, le=100_000)] = 2000
    patience: Annotated[int, Field(ge=1)] = 50
    seed: Annotated[int, Field(ge=0)] = 7


class Gate(SpecPart):
    """One condition for promotion: a bound on a metric, or a comparison with the champion or the best baseline."""

    metric: MetricName
    at_most: float | None = None
    at_least: float | None = None
    versus: Literal["champion", "baseline"] | None = None
    worse_by_at_most: Annotated[float, Field(ge=0)] | None = None
    better_by: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        bounds = [self.at_most, self.at_least]
        margins = [self.worse_by_at_most, self.better_by]
        allowed, banned = (bounds, margins) if self.versus is None else (margins, bounds)
        if sum(value is not None for value in allowed) != 1 or any(value is not None for value in banned):
            names = "at_most or at_least" if self.versus is None else "worse_by_at_most or better_by"
            raise ValueError(
                f"expected exactly one of {names}" + (f" with versus: {self.versus}" if self.versus else "")
            )
        return self

    @property
    def bound(self) -> float:
        """The one number that the gate names."""
        numbers = (self.at_most, self.at_least, self.worse_by_at_most, self.better_by)
        return next(number for number in numbers if number is not None)

    @property
    def name(self) -> str:
        """A statement that is true when the gate passes; names the asset check."""
        if self.versus is None:
            word = "at_least" if self.at_most is None else "at_most"
            return f"{self.metric}_{word}_{self.bound}".replace(".", "_").replace("-", "minus_")
        return f"{self.metric}_{'not_worse' if self.better_by is None else 'better'}_than_{self.versus}"


class Monitoring(SpecPart):
    """How the deployed model's inputs are watched: window, and the index beyond which a column has drifted."""

    window: SomeDays = timedelta(days=7)
    psi_at_most: Annotated[float, Field(gt=0)] = 0.2
    drifted_columns_at_least: Annotated[int, Field(ge=1)] = 1
    rows_at_least: Annotated[int, Field(ge=1)] = 100


class Retrain(SpecPart):
    """When drift asks for a new model: never within `cool_down` of another request's as-of."""

    when: list[Literal["drift"]] = ["drift"]
    cool_down: Days = timedelta(days=7)


class Serving(SpecPart):
    """Limits of the endpoint."""

    batch_at_most: Annotated[int, Field(ge=1, le=100_000)] = 1000


class PipelineSpec(SpecPart):
    """One pipeline, from a source to an endpoint."""

    name: Annotated[str, Field(pattern=_NAME)]
    description: str
    owners: list[Owner] = []
    partitions: Partitions
    source: Source
    key: Names
    event_time: str
    label: Label
    schema_: Annotated[PythonPath, Field(alias="schema")]
    quality: Quality = Quality()
    features: Features
    split: Split
    models: Annotated[dict[Annotated[str, Field(pattern=_NAME)], LightGBMModel], Field(min_length=1, max_length=1)]
    gates: Annotated[list[Gate], Field(min_length=1)]
    monitoring: Monitoring = Monitoring()
    retrain: Retrain = Retrain()
    serving: Serving = Serving()

    @model_validator(mode="after")
    def _gates_are_distinct(self) -> Self:
        names = [gate.name for gate in self.gates]
        if len(set(names)) < len(names):
            raise ValueError(f"expected distinct gates, got {', '.join(names)}")
        return self

    @property
    def model_name(self) -> str:
        """The name the author gave the model."""
        return next(iter(self.models))

    @property
    def model(self) -> LightGBMModel:
        """The model to train."""
        return self.models[self.model_name]
