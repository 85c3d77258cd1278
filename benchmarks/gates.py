"""How often a gate with confidence errs, how good its intervals are, and how long it takes.

Run it with `python -m benchmarks.gates`. The tables stand in `docs/gates.md`.
"""

import time

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq
from sklearn.metrics import log_loss

from ml_platform.contracts.metrics import MetricName, Task
from ml_platform.contracts.records import ModelVersion
from ml_platform.contracts.spec import Gate
from ml_platform.validation.bootstrap import Gap, paired_intervals
from ml_platform.validation.evaluation import ChampionScores, evaluate
from ml_platform.validation.influence import influence_intervals
from ml_platform.validation.measure import Measure
from ml_platform.validation.metrics import weighted_metric
from ml_platform.validation.weighted import Weighted, weighted_mean

FloatArray = NDArray[np.float64]

PAIRS = 500
ROWS_OF_WORSE_PAIRS = 8_000_000  # all in all: what is promised of them is a bound, so they are counted more closely
LONG_RUN = 2_000_000
MARGIN = 0.002
NOISE = 0.2
SIZES = (2_000, 5_000, 10_000)
GATE = Gate(metric="log_loss", versus="champion", worse_by_at_most=MARGIN, confidence=0.95)
PLAIN = GATE.model_copy(update={"confidence": None})
VERSION = ModelVersion(pipeline="simulated", version=2, digest="d", as_of="2020-01-01", run_id="r")


def sigmoid(logits: FloatArray) -> FloatArray:
    """Give probabilities."""
    return 1 / (1 + np.exp(-logits))


def expected_loss(noise: float) -> float:
    """Give the log loss that a model whose logits are off by so much noise has in the long run, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    logits = -1.2 + nodes[:, None]
    said = logits + noise * nodes[None, :]
    loss = sigmoid(logits) * np.logaddexp(0, -said) + sigmoid(-logits) * np.logaddexp(0, said)
    return float(weights @ loss @ weights / weights.sum() ** 2)


def noise_of(worse: float) -> float:
    """Find the noise that makes a model's log loss worse by so much than that of NOISE, in the long run."""
    start = expected_loss(NOISE)
    root = brentq(lambda noise: expected_loss(noise) - start - worse, 0.0, 2.0, disp=True)
    return float(str(root))


def promoted_share(gate: Gate, rows: int, noise: float, pairs: int) -> tuple[float, float]:
    """Give how many of the simulated pairs the gate passes, and how far off that share may be, with confidence 0.95."""
    share = float(np.mean([_passes(gate, rows, noise, seed) for seed in range(pairs)]))
    return share, 1.96 * float(np.sqrt(share * (1 - share) / pairs))


def _passes(gate: Gate, rows: int, noise: float, seed: int) -> bool:
    rng = np.random.default_rng((rows, seed))
    logits = rng.normal(-1.2, 1.0, rows)
    labels = (rng.random(rows) < sigmoid(logits)).astype(float)
    champion, candidate = (sigmoid(logits + sd * rng.standard_normal(rows)) for sd in (NOISE, noise))
    found = evaluate(
        VERSION,
        labels=labels,
        candidate=candidate,
        baselines={},
        champion=ChampionScores(1, champion, np.ones(rows, dtype=bool)),
        gates=[gate],
        measure="binary",
    )
    return found.verdicts[0].outcome == "pass"


def error_rates() -> None:
    """Print how often a gate passes models that are equal, worse by its margin, or better by it."""
    cases = {"worse by the margin": MARGIN, "better by the margin": -MARGIN, "equal": 0.0}
    print(f"share of pairs promoted; log loss, margin {MARGIN}: with confidence 0.95 / estimates compared")
    for rows in SIZES:
        for name, worse in cases.items():
            noise, pairs = noise_of(worse), ROWS_OF_WORSE_PAIRS // rows if worse > 0 else PAIRS
            sure, off = promoted_share(GATE, rows, noise, pairs)
            plain, _ = promoted_share(PLAIN, rows, noise, PAIRS)
            print(f"  {name:<22}{rows:>8,} rows, {pairs:,} pairs: {sure:.3f} +- {off:.3f} / {plain:.3f}", flush=True)


def coverage(measure: Measure, rows: int = 2_000, draws: int = 1_000) -> None:
    """Print how many 95 % intervals hold the truth of the long run: of the candidate alone, and of a difference."""
    rng = np.random.default_rng(2)
    ones = np.ones((1, LONG_RUN))
    long_run = _weighted(measure, *_pair(LONG_RUN, rng, measure.task))
    truth = {name: float(each[0](ones)[0]) for name, each in long_run.items()}
    gap = {name: float(Gap(*each)(ones)[0]) for name, each in long_run.items()}
    alone, paired = dict.fromkeys(truth, 0), dict.fromkeys(truth, 0)
    for seed in range(draws):
        weighted = _weighted(measure, *_pair(rows, rng, measure.task))
        once = np.ones((1, rows))
        own = influence_intervals({name: (float(each[0](once)[0]), each[0]) for name, each in weighted.items()})
        both = paired_intervals(rows, weighted, seed=seed)
        for name in truth:
            alone[name] += own[name].low <= truth[name] <= own[name].high
            paired[name] += both[name].low <= gap[name] <= both[name].high
    for name in truth:
        print(f"  {name:<18} alone {alone[name] / draws:.3f}, difference {paired[name] / draws:.3f}", flush=True)


def _weighted(
    measure: Measure, labels: FloatArray, one: FloatArray, other: FloatArray
) -> dict[str, tuple[Weighted, Weighted]]:
    names = [name for name in measure.metrics if name not in ("calibration_error", "mape", "pinball", "cost")]
    return {name: pair(name, labels, one, other, measure) for name in names}


def pair(
    name: str, labels: FloatArray, one: FloatArray, other: FloatArray, how: Measure | Task = "binary"
) -> tuple[Weighted, Weighted]:
    """Give a metric of two models as functions of weights."""
    return weighted_metric(name, labels, one, how), weighted_metric(name, labels, other, how)


def _pair(rows: int, rng: np.random.Generator, task: Task = "binary") -> tuple[FloatArray, FloatArray, FloatArray]:
    logits = rng.normal(-1.2, 1.0, rows)
    one, other = (logits + noise * rng.standard_normal(rows) for noise in (0.2, 0.4))
    if task == "regression":
        return logits + rng.standard_normal(rows), one, other
    return (rng.random(rows) < sigmoid(logits)).astype(float), sigmoid(one), sigmoid(other)


def speed(rows: int = 200_000, slices: int = 30) -> None:
    """Time 2,000 resamples of three metrics on many slices."""
    labels, one, other = _pair(rows, np.random.default_rng(3))
    place = np.random.default_rng(4).integers(0, slices, rows)
    metrics: tuple[MetricName, ...] = ("log_loss", "brier", "roc_auc")
    began = time.perf_counter()
    for each in range(slices):
        mine = place == each
        pairs = {name: pair(name, labels[mine], one[mine], other[mine]) for name in metrics}
        paired_intervals(int(mine.sum()), pairs)
    print(f"2,000 resamples of {rows:,} rows x 3 metrics x {slices} slices: {time.perf_counter() - began:.1f} s")


def against_scipy(rows: int = 5_000, resamples: int = 50_000) -> None:
    """Print how far our interval's bounds lie from scipy's, as a share of the interval's width."""
    labels, one, other = _pair(rows, np.random.default_rng(5))
    losses = [-np.log(np.where(labels == 1, each, 1 - each)) for each in (one, other)]
    rng = np.random.default_rng(6)
    theirs = stats.bootstrap(
        (losses[0] - losses[1],), np.mean, n_resamples=resamples, method="BCa", rng=rng, batch=500
    ).confidence_interval
    pair = {"log_loss": (weighted_mean(losses[0]), weighted_mean(losses[1]))}
    ours = paired_intervals(rows, pair, resamples=resamples)["log_loss"]
    off = max(abs(ours.low - theirs.low), abs(ours.high - theirs.high)) / (theirs.high - theirs.low)
    assert np.isclose(ours.estimate, log_loss(labels, one) - log_loss(labels, other))  # noqa: S101 - the estimate is the metric
    print(f"interval against scipy's, {resamples:,} resamples: bounds off by {off:.2%} of the width (bound 1 %)")


if __name__ == "__main__":
    speed()
    against_scipy()
    print("coverage of 95 % intervals (0.93 to 0.97), 1,000 simulations of 2,000 rows")
    coverage(Measure("binary", threshold=0.3))
    coverage(Measure("regression"))
    error_rates()
