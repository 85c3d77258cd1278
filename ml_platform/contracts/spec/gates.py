"""The gates that a candidate has to pass, and the decision that its predictions are for."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Discriminator, Field, Tag, model_validator

from ml_platform.contracts.spec.parts import NAME, Names, PythonPath, SomeDays, SpecPart

NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
SHARE_OF_BASELINE = 0.01  # of the best baseline's loss: the margin where no gate names one
GateName = Annotated[str, Field(pattern=NAME)]


class Gate(SpecPart):
    """One condition for promotion: a bound on a metric, or a comparison with the champion or with every baseline.

    With `confidence` it passes only if the bound or the margin is kept with that confidence, by the one-sided bound of
    an interval, paired on the same rows in a comparison, taken over rows and over days: the wider one counts. Between
    kept and broken it is inconclusive. With `per`, columns of the features, it fails if the candidate is worse by more
    than the margin on any value of any of them, with confidence. With `newest` it looks at that last stretch of the
    holdout alone. On fewer than `rows_at_least` rows (500, of a slice 200, where it is left out) it is inconclusive.
    With `better_by: 0` it must be better; to be equal is not enough. `name` is what checks, tables and refusals call
    it; left out, it is made of the condition.
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
    name_: Annotated[GateName | None, Field(alias="name")] = None

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
        """A short statement that is true when the gate passes; names the asset check."""
        return self.name_ or self.short_names[0]

    @property
    def short_names(self) -> tuple[str, ...]:
        """Names to choose from where the author gives none, shortest first; the last one is the whole condition."""
        newest = "" if self.newest is None else "_newest"
        per = f"_per_{'_'.join(self.per)}" if self.per else ""
        if self.versus is None:
            return f"{self._bounded}{newest}".replace(".", "_").replace("-", "minus_"), self.condition
        rivals = "champion" if self.versus == "champion" else "baselines"
        stated = f"{'not_worse_than' if self.better_by is None else 'beats'}_{rivals}{per}{newest}"
        return stated, f"{self.metric}_{stated}", self.condition

    @property
    def condition(self) -> str:
        """The condition in full, without the size of a margin: what verdicts are matched by, whatever the name."""
        per = f"_per_{'_'.join(self.per)}" if self.per else ""
        newest = "" if self.newest is None else f"_on_the_newest_{self.newest.days}d"
        rows = "" if self.rows_at_least is None else f"_on_{self.rows_at_least}_rows_or_more"
        confidence = "" if self.confidence is None else f"_with_confidence_{self.confidence}"
        comparison = f"{self.metric}_{'not_worse' if self.better_by is None else 'better'}_than_{self.versus}"
        stated = self._bounded if self.versus is None else comparison
        return f"{stated}{per}{newest}{rows}{confidence}".replace(".", "_").replace("-", "minus_")

    @property
    def _bounded(self) -> str:
        return f"{self.metric}_{'at_least' if self.at_most is None else 'at_most'}_{self.bound}"


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
    name_: Annotated[GateName | None, Field(alias="name")] = None

    @property
    def bound(self) -> float:
        """The one number that the gate names."""
        return self.p95_ms

    @property
    def name(self) -> str:
        """A short statement that is true when the gate passes; names the asset check."""
        return self.name_ or self.short_names[0]

    @property
    def short_names(self) -> tuple[str, ...]:
        """Names to choose from where the author gives none, shortest first; the last one is the whole condition."""
        return "served_as_offline", self.condition

    @property
    def condition(self) -> str:
        """The condition in full: what verdicts are matched by, whatever the name."""
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
    name_: Annotated[GateName | None, Field(alias="name")] = None

    @property
    def bound(self) -> float:
        """The one number that the gate names."""
        return self.times

    @property
    def name(self) -> str:
        """A short statement that is true when the gate passes; names the asset check."""
        return self.name_ or self.short_names[0]

    @property
    def short_names(self) -> tuple[str, ...]:
        """Names to choose from where the author gives none, shortest first; the last one is the whole condition."""
        return "not_too_good_to_be_true", self.stem, self.condition

    @property
    def condition(self) -> str:
        """The condition in full: what verdicts are matched by, whatever the name."""
        return f"{self.stem}_beside_{self.versions}_versions"

    @property
    def stem(self) -> str:
        """What the conditions of all such gates on this metric begin with."""
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

    @property
    def condition(self) -> str:
        """The condition in full: what verdicts are matched by, whatever the name."""
        return f"{self.metric}_of_the_{self.name}"


def _kind(value: Any) -> Any:
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get("kind", "metric")
    return getattr(value, "kind", None)


AnyGate = Annotated[
    Annotated[Gate, Tag("metric")] | Annotated[ServedGate, Tag("served")] | Annotated[PlausibleGate, Tag("plausible")],
    Discriminator(_kind),
]


def with_distinct_names(gates: Sequence[AnyGate]) -> list[AnyGate]:
    """Return the gates, those that share a short name renamed: to the next longer one that no other gate could have.

    Which name a gate gets does not depend on the order of the gates.

    Raises
    ------
    ValueError
        If two gates have one name, or are one condition.
    """
    free = [_free_name(gate, gates) for gate in gates]
    named = [
        gate if gate.name == name else gate.model_copy(update={"name_": name})
        for gate, name in zip(gates, free, strict=True)
    ]
    for given in ([gate.name for gate in named], [gate.condition for gate in named]):
        if len(set(given)) < len(given):
            raise ValueError(f"expected distinct gates, got {', '.join(given)}")
    return named


def _free_name(gate: AnyGate, gates: Sequence[AnyGate]) -> str:
    if gate.name_ is not None:
        return gate.name_
    others = [other for other in gates if other is not gate]
    taken = {name for other in others for name in ((other.name_,) if other.name_ else other.short_names)}
    return next((name for name in gate.short_names if name not in taken), gate.condition)


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
