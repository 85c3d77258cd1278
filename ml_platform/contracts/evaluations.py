"""What was measured on a version and what its gates say: the records that validation makes and the ledger keeps.

Put here what belongs to the evaluation of one version; all other records stand in `contracts.records`.
"""

from ml_platform.contracts.records import Instant, Outcome, Record


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
    settings, costs, an author's metric. `is_applicable` is false where the champion has learnt from so many rows that
    too few new ones are left: then nothing can be said, and nothing is wrong.
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
