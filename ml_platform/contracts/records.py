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
