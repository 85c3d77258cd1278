"""The time of a pipeline: its partitions, when a label is known, and the parts that a training set is cut into."""

from datetime import date, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec.parts import Days, Duration, SomeDays, SpecPart, Zone

Cadence = Literal["day", "week", "month"]


class Partitions(SpecPart):
    """Which days, weeks (beginning on the weekday of `start`) or months the pipeline covers; `end` is excluded."""

    every: Cadence = "day"
    start: date
    end: date
    timezone: Zone = "UTC"

    @model_validator(mode="after")
    def _has_days(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"expected end after start, got start {self.start} and end {self.end}")
        if self.every == "week" and self.days % 7:
            raise ValueError(f"expected whole weeks between start and end, got {self.days} days")
        if self.every == "month" and (self.start.day, self.end.day) != (1, 1):
            raise ValueError(f"expected the first of a month, got start {self.start} and end {self.end}")
        return self

    @property
    def days(self) -> int:
        """Number of days from start to end."""
        return (self.end - self.start).days

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose midnight begins a partition."""
        return ZoneInfo(self.timezone)


class Label(SpecPart):
    """What is predicted, and when it became known: at the instant in a column, or a fixed time after the event.

    With `corrected`, rows of one key that differ in `known_at` are corrections: as of any instant the newest that was
    known counts. Without it a second row of a key is a repeated key. `known_with` names further columns that become
    known no earlier than the label: none of them, and nothing that the source derives of them, may be an input.
    """

    column: str
    task: Task
    known_at: str | None = None
    known_after: Duration | None = None
    known_with: list[str] = []
    corrected: bool = False

    @model_validator(mode="after")
    def _known_in_one_way(self) -> Self:
        if (self.known_at is None) == (self.known_after is None):
            raise ValueError("expected exactly one of known_at (a column) and known_after (a time like 2d)")
        if self.corrected and self.known_at is None:
            raise ValueError("expected known_at with corrected: a correction is told by when it became known")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns that hold the label and its known-at."""
        return (self.column,) if self.known_at is None else (self.column, self.known_at)


class Split(SpecPart):
    """Lengths of the parts before the as-of instant, newest last: train, validation, holdout.

    `time` cuts by event time, with `embargo` between the parts; `label_delay` moves all of it back, so that the labels
    of the holdout are known too. `grouped` and `stratified` deal the rows of the whole span to the parts in proportion
    to their lengths: by the column `by` (no value of it in two parts), or so that each part has the label's shares.
    `folds` are pairs of train and validation within those parts, each judging a stretch of validation's length. A
    feature that alone tells the label is a leak, unless it stands in `may_tell_label`.
    """

    kind: Literal["time", "grouped", "stratified"] = "time"
    by: str | None = None
    train: SomeDays
    train_at_least: SomeDays
    validation: SomeDays
    holdout: SomeDays
    embargo: Days = timedelta(0)
    label_delay: Days = timedelta(0)
    folds: Annotated[int, Field(ge=0, le=20)] = 0
    may_tell_label: list[str] = []

    @model_validator(mode="after")
    def _parts_go_together(self) -> Self:
        if self.train_at_least > self.train:
            raise ValueError("expected train_at_least no longer than train")
        if (self.by is None) != (self.kind != "grouped"):
            raise ValueError("expected by with kind: grouped, and only there")
        if self.kind != "time" and (self.embargo or self.folds):
            raise ValueError("expected embargo and folds only with kind: time")
        if self.oldest_fold < self.train_at_least:
            raise ValueError(
                f"expected folds that leave train_at_least to the oldest, got {max(self.oldest_fold.days, 0)} days: "
                "fewer folds, a shorter validation, or a longer train"
            )
        return self

    @property
    def oldest_fold(self) -> timedelta:
        """How long the oldest fold's train is."""
        return self.train - ((self.folds - 1) * self.validation + self.embargo if self.folds > 1 else timedelta(0))

    @property
    def span(self) -> timedelta:
        """From the first training row to the as-of instant."""
        return self.train + self.validation + self.holdout + 2 * self.embargo + self.label_delay
