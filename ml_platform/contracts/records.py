"""The records that pass between rooms, from the window of a partition to a decision of the ledger.

Plain frozen values that go to JSON and back unchanged. No behaviour beyond reading themselves.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict

Outcome = Literal["pass", "fail", "inconclusive"]
FieldType = Literal["string", "int64", "float64", "bool", "timestamp"]
Instant = Annotated[AwareDatetime, AfterValidator(lambda value: value.astimezone(UTC))]
DecisionKind = Literal[
    "registered",
    "evaluated",
    "approved",
    "rejected",
    "promoted",
    "promotion_refused",
    "retrain_requested",
    "retrain_declined",
]


class Record(BaseModel):
    """Base of every record."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Window(Record):
    """A half-open span of time, `start <= t < end`, in UTC."""

    start: Instant
    end: Instant

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at < self.end


class TableVersion(Record):
    """One version of one lake table, as a result was computed from it; `rows` are those of the partitions read."""

    table: str
    version: int
    rows: int


class Content(Record):
    """What a partition holds: its rows' number and their hash, which depends on nothing but the rows."""

    hash: str
    rows: int


class Commit(TableVersion):
    """The table version that a write made, with the content of each partition it replaced."""

    partitions: dict[str, Content]


class TableContent(Record):
    """What was read of one table: its version, and the content of each partition as it was then."""

    table: str
    version: int
    partitions: dict[str, Content]


class TrainingManifest(Record):
    """What a training set was made from; equal data, spec and code give an equal manifest, whenever it was made."""

    pipeline: str
    as_of: str
    tables: tuple[TableContent, ...]
    spec_digest: str
    code_version: str

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, which a bundle names it by."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


class SignatureField(Record):
    """One field of a request: its name, its type, whether it may be null."""

    name: str
    type: FieldType
    nullable: bool


class LeakageFinding(Record):
    """What was looked for in a training set under one name, a statement that holds when it is `ok`."""

    name: str
    outcome: Literal["ok", "warned", "violated"]
    sentence: str
    numbers: dict[str, float] = {}
    examples: tuple[str, ...] = ()


class LeakageCertificate(Record):
    """Whether anything of a training set tells a model what it may not know; `rows` by part."""

    pipeline: str
    as_of: str
    rows: dict[str, int]
    findings: tuple[LeakageFinding, ...]

    @property
    def violated(self) -> tuple[LeakageFinding, ...]:
        """The findings for which nothing may be trained on the set."""
        return tuple(finding for finding in self.findings if finding.outcome == "violated")


class ModelVersion(Record):
    """One registered model version; `digest` is the SHA-256 of its bundle's manifest."""

    pipeline: str
    version: int
    digest: str
    as_of: str
    run_id: str


class Bounds(Record):
    """The two ends of an interval; where nothing else is said, of one at 95 %."""

    low: float
    high: float


class Verdict(Record):
    """What one gate says of one version, with the numbers it came from and a sentence a person can read.

    `low` and `high` are the bounds between which a gate with `confidence` sees the metric, or its difference from the
    reference (candidate minus reference); either alone holds with that confidence. They are the wider of two intervals:
    `by_rows`, as if each row were drawn by itself, and `by_days`, with the rows of a day drawn together, of which there
    are `days`. `condition` is the gate's condition in full, which stays when its name changes; a verdict of before
    there were names has it in `gate`. `basis` is a digest of all that it hangs on beside the bound: the gate's other
    settings, costs, an author's metric. `is_applicable` is false where the champion has seen every row of the holdout:
    then nothing can be said, and nothing is wrong.
    """

    gate: str
    condition: str = ""
    outcome: Outcome
    sentence: str
    value: float | None
    bound: float | None
    reference: float | None
    rows: int
    low: float | None = None
    high: float | None = None
    by_rows: Bounds | None = None
    by_days: Bounds | None = None
    days: int | None = None
    confidence: float | None = None
    basis: str = ""
    is_applicable: bool = True

    @property
    def judged(self) -> str:
        """The condition that was judged, in full."""
        return self.condition or self.gate


class Demand(Record):
    """What a verdict must have been given on to count for a gate: its condition, bound and basis as in `Verdict`."""

    bound: float
    basis: str
    condition: str = ""


class PartScore(Record):
    """What was measured on some of the holdout's rows: a slice (`carrier=UA`), or its newest part.

    `metrics` and `intervals` by model, as in `Evaluation`.
    """

    name: str
    rows: int
    metrics: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, Bounds]] = {}


class ServedFit(Record):
    """The fit that serves next to the one that was judged, on the holdout, from which it has learnt.

    Its loss there proves nothing good. `distance` is the mean absolute difference of the predictions,
    `other_decisions_share` the share of rows, 0 to 1, that it decides otherwise (None where nothing is decided). It has
    learnt from `rows` rows before `learnt_until`.
    """

    metric: str
    judged: float | None
    served: float | None
    margin: float | None
    distance: float
    other_decisions_share: float | None
    rows: int
    learnt_until: Instant | None
    newest_learnt_at: Instant | None
    warnings: tuple[str, ...] = ()


class FitComparison(Record):
    """Both fits of a version, paired on the first rows that neither has learnt from.

    `low` and `high` are the ends of the 95 % interval of the served fit's metric minus the judged fit's.
    """

    version: int
    digest: str
    metric: str
    rows: int
    judged: float
    served: float
    low: float | None
    high: float | None


class Evaluation(Record):
    """All that was measured on one version's holdout; `metrics` by model: candidate, champion, prior, last_value.

    What is measured of a refitted candidate is its judged fit; `served_fit` tells what was seen of the one that serves,
    and `champion_fits` compares the champion's two on rows that are new to both. `intervals` has the bounds of the
    metrics for which they were taken, `day_intervals` the same with the rows of each of the `days` kept together,
    `threshold` the probability from which on a binary model says yes. `alert` is a sentence where the candidate was
    refused and the champion itself loses to a baseline.
    """

    pipeline: str
    version: int
    digest: str
    as_of: str
    champion: int | None
    rows: int
    metrics: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, Bounds]] = {}
    day_intervals: dict[str, dict[str, Bounds]] = {}
    days: int | None = None
    newest: PartScore | None = None
    slices: tuple[PartScore, ...] = ()
    threshold: float | None = None
    served_fit: ServedFit | None = None
    champion_fits: FitComparison | None = None
    alert: str = ""
    verdicts: tuple[Verdict, ...]

    @property
    def outcome(self) -> Outcome:
        """`fail` if any gate fails, else `inconclusive` if any is, else `pass`."""
        outcomes = {verdict.outcome for verdict in self.verdicts}
        return (
            "fail" if "fail" in outcomes else "inconclusive" if "inconclusive" in outcomes or not outcomes else "pass"
        )


class Answer(Record):
    """What a person said of one version: it may serve, until its approval expires, or it may never."""

    version: int
    digest: str
    is_approved: bool
    by: str
    because: str
    at: Instant
    expires_at: Instant | None
    seq: int


class Decision(Record):
    """One entry of the ledger; `seq` counts from 1 within a pipeline, `hash` covers it and the hash before.

    `kind` is a `DecisionKind`, or one that a later release of the platform writes: readers take it as it is.
    """

    pipeline: str
    seq: int
    at: Instant
    kind: str
    actor: str
    because: str
    version: int | None
    payload: dict[str, Any]
    previous_hash: str
    hash: str


class Difference(Record):
    """One thing that is not as it was when a version was fitted; None where it is not there."""

    kind: Literal["table", "parameter", "library", "machine", "code", "features", "file", "predictions"]
    name: str
    then: str | None
    now: str | None


class Certificate(Record):
    """What came of fitting a version again from the same table versions and parameters, in a process of its own.

    It is equal if nothing is in `broken`: files, rows or predictions that came out other than they were. `changed`
    names what has changed since the fit, whether it mattered or not. `largest_difference` is that of the predictions
    for the `rows` of the holdout.
    """

    pipeline: str
    version: int
    digest: str
    as_of: str
    at: Instant
    tables: tuple[TableVersion, ...]
    rows: int
    largest_difference: float
    then: dict[str, str]
    now: dict[str, str]
    broken: tuple[Difference, ...]
    changed: tuple[Difference, ...]

    @property
    def is_equal(self) -> bool:
        """Whether the version came out as it was, to the last bit."""
        return not self.broken


class ColumnDrift(Record):
    """How far one column left the reference window. `psi` in nats, `ks` 0 to 1 (None for categories)."""

    name: str
    kind: Literal["numeric", "category"]
    psi: float
    ks: float | None
    reference_null_share: float
    current_null_share: float
    is_drifted: bool


class DriftReport(Record):
    """The current window of one as-of partition against the champion's training rows; no champion, no columns."""

    pipeline: str
    as_of: str
    champion: int | None
    champion_as_of: str | None
    window: Window
    rows: int
    outcome: Literal["stable", "drifted", "inconclusive"]
    sentence: str
    columns: tuple[ColumnDrift, ...]
