"""The gates that a candidate has to pass, and the decision that its predictions are for."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Discriminator, Field, Tag, model_validator

from ml_platform.contracts.spec.parts import Names, PythonPath, SomeDays, SpecPart

NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
SHARE_OF_BASELINE = 0.01  # of the best baseline's loss: the margin where no gate names one


class Gate(SpecPart):
    """One condition for promotion: a bound on a metric, or a comparison with the champion or the best baseline.

    With `confidence` it passes only if the bound or the margin is kept for certain, by the one-sided bound of a
    bootstrap, paired on the same rows in a comparison; between certain and refuted it is inconclusive. With `per`,
    columns of the features, it fails if the candidate is surely worse by more than the margin on any value of any of
    them. With `newest` it looks at that last stretch of the holdout alone. On fewer than `rows_at_least` rows (500, of
    a slice 200, where it is left out) it is inconclusive.
    """

    kind: Literal["metric"] = "metric"
    metric: str
    at_most: float | None = None
    at_least: float | None = None
    versus: Literal["champion", "baseline"] | None = None
    worse_by_at_most: NotNegative | None = None
    better_by: NotNegative | None = None
    confidence: Annotated[float, Field(gt=0.5, lt=1)] | None = None
    per: Names | None = None
    newest: SomeDays | None = None
    rows_at_least: Annotated[int, Field(ge=1)] | None = None

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
        if self.per is not None and self.worse_by_at_most is None:
            raise ValueError("expected per only with versus and worse_by_at_most: it looks for slices that are worse")
        return self

    @property
    def bound(self) -> float:
        """The one number that the gate names."""
        numbers = (self.at_most, self.at_least, self.worse_by_at_most, self.better_by)
        return next(number for number in numbers if number is not None)

    @property
    def name(self) -> str:
        """A statement that is true when the gate passes; names the asset check."""
        per = f"_per_{'_'.join(self.per)}" if self.per else ""
        newest = "" if self.newest is None else f"_on_the_newest_{self.newest.days}d"
        rows = "" if self.rows_at_least is None else f"_on_{self.rows_at_least}_rows_or_more"
        certainly = "" if self.confidence is None else f"_with_confidence_{self.confidence}"
        if self.versus is None:
            said = f"{'at_least' if self.at_most is None else 'at_most'}_{self.bound}"
        else:
            said = f"{'not_worse' if self.better_by is None else 'better'}_than_{self.versus}"
        return f"{self.metric}_{said}{per}{newest}{rows}{certainly}".replace(".", "_").replace("-", "minus_")


class ServedGate(SpecPart):
    """Whether the real server, in a fresh process, answers as offline, fast enough, within its memory, and safely.

    `p95_ms` bounds the latency of requests of one row, `cold_start_s` the time from the start of the process to its
    first prediction, `memory_mb` the most memory it has resident (1 MB is 1,000,000 bytes). The newest `rows` of the
    holdout must be served as they were predicted offline. Bad requests must be refused as the caller's fault.
    """

    kind: Literal["served"]
    p95_ms: Positive
    memory_mb: Positive | None = None
    cold_start_s: Positive | None = None
    rows: Annotated[int, Field(ge=10, le=10_000)] = 200

    @property
    def bound(self) -> float:
        """The one number that the gate names."""
        return self.p95_ms

    @property
    def name(self) -> str:
        """A statement that is true when the gate passes; names the asset check."""
        budgets = ((self.p95_ms, "ms"), (self.memory_mb, "mb"), (self.cold_start_s, "s"))
        within = "_".join(f"{limit:g}_{unit}" for limit, unit in budgets if limit is not None)
        return f"served_as_offline_within_{within}".replace(".", "_").replace("+", "")


class PlausibleGate(SpecPart):
    """Whether the candidate is not too good to be true beside the versions before it.

    An error that is less than the least of the last `versions` by more than `times` their spread looks like a feature
    that tells the label; all as logarithms of shares of the prior's error. Fewer than three versions cannot tell: then
    it is inconclusive if one feature alone does nearly all that the model does, unless `split.may_tell_label` names it.
    """

    kind: Literal["plausible"]
    metric: str
    versions: Annotated[int, Field(ge=3, le=100)] = 10
    times: Positive = 4

    @property
    def bound(self) -> float:
        """The one number that the gate names."""
        return self.times

    @property
    def name(self) -> str:
        """A statement that is true when the gate passes; names the asset check."""
        return f"{self.stem}_beside_{self.versions}_versions"

    @property
    def stem(self) -> str:
        """What the names of all such gates on this metric begin with."""
        return f"{self.metric}_not_too_good_to_be_true"


class ServedFitGate(SpecPart):
    """Whether the fit that serves is no worse on the holdout than the one that was judged there.

    A pipeline with `refit: all` has it without declaring it. The served fit has learnt from the holdout, so that being
    better there proves nothing; being worse by more than the margin shows that something went wrong in the refit. The
    margin is that of the gate on the same loss against the champion, else 1 % of the best baseline's loss.
    """

    kind: Literal["served_fit"] = "served_fit"
    metric: str
    worse_by_at_most: NotNegative | None = None

    @property
    def bound(self) -> float:
        """The one number that the gate names: the margin, or its share of the best baseline's loss."""
        return SHARE_OF_BASELINE if self.worse_by_at_most is None else self.worse_by_at_most

    @property
    def name(self) -> str:
        """A statement that is true when the gate passes; names the asset check."""
        return "served_fit_not_worse_than_judged"


def _kind(value: Any) -> Any:
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get("kind", "metric")
    return getattr(value, "kind", None)


AnyGate = Annotated[
    Annotated[Gate, Tag("metric")] | Annotated[ServedGate, Tag("served")] | Annotated[PlausibleGate, Tag("plausible")],
    Discriminator(_kind),
]


class Costs(SpecPart):
    """What a wrong decision of a binary model costs, and a right one, in any one unit."""

    false_positive: NotNegative
    false_negative: NotNegative
    true_positive: float = 0.0
    true_negative: float = 0.0


class Decide(SpecPart):
    """At which probability a binary model says yes: a fixed `threshold`, or the best one on the validation part.

    With `costs` that is the one with the least mean cost; with `best: f1` the one with the largest F1. A threshold or
    `best: f1` beside costs decides, and the costs are measured. Left out, the server decides nothing, and F1 is that
    of 0.5.
    """

    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    costs: Costs | None = None
    best: Literal["f1"] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.threshold is not None and self.best is not None:
            raise ValueError("expected one of threshold and best, not both")
        return self

    @property
    def decides(self) -> bool:
        """Whether the author asked for decisions."""
        return self.threshold is not None or self.costs is not None or self.best is not None


class OwnMetric(SpecPart):
    """A metric in the author's Python: a function of labels and predictions, both arrays, that gives a number."""

    function: PythonPath
    better: Literal["lower", "higher"]
