"""Generated histories whose label's share changes at once: what a drafted pipeline promotes, held against the truth.

Run with `python -m benchmarks.histories [HISTORIES] [PROCESSES]`. Each history is two years of months, written as CSV;
`ml-platform new` drafts the pipeline from the months before the change. Then every as-of around the change is fitted,
evaluated and gated as the platform does it, without Dagster. The generator knows the true probability of each row, so
the loss that a model and a baseline really have in the world of the as-of is computed, not estimated.

Counted are promotions that truly lose to a baseline, and histories in which a model that beats the baselines serves at
most one partition after the same learner, fitted by hand on the same known rows and not gated, would beat them.
"""

import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.authoring.draft import draft
from ml_platform.authoring.sample import read_sample
from ml_platform.authoring.wanted import wanted
from ml_platform.contracts.errors import NotEnoughRows
from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.records import ModelVersion
from ml_platform.contracts.spec import Fit, Gate, PipelineSpec, ServedFitGate
from ml_platform.data.calendar import Calendar
from ml_platform.data.splits.cut import known_rows, parted, split_rows
from ml_platform.data.splits.labels import known_labels
from ml_platform.data.splits.parts import learnt_until
from ml_platform.features.plan import FeaturePlan
from ml_platform.orchestration.recipes import fit_models
from ml_platform.orchestration.training_rows import FitRows
from ml_platform.training.baselines import predict_baselines
from ml_platform.training.threads import computing_with
from ml_platform.training.trainer import FitSet, Trained
from ml_platform.validation.evaluation import ChampionScores, evaluate
from ml_platform.validation.measure import Measure
from ml_platform.validation.scored import Scored
from ml_platform.validation.served_fit import Learnt, judge_served_fit

FloatArray = NDArray[np.float64]
START, MONTHS = date(2021, 1, 1), 24
SHOPS = ("north", "south", "east", "west", "web")
TRUTH_ROWS = 20_000
BEFORE, AFTER = 3, 6  # as-ofs around the change


@dataclass(frozen=True)
class World:
    """One history: the share of returned parcels changes at once, what makes one likelier does not.

    Parameters
    ----------
    seed : int
        Decides everything.
    """

    seed: int

    @cached_property
    def _drawn(self) -> dict[str, float]:
        rng = np.random.default_rng(self.seed)
        before, after = rng.uniform(0.15, 0.5), rng.uniform(0.15, 0.7)
        while abs(after - before) < 0.15:
            after = rng.uniform(0.15, 0.7)
        return {
            "before": before, "after": after, "month": int(rng.integers(10, 17)), "rows": int(rng.integers(500, 1500)),
            "strength": rng.uniform(0.5, 1.4),
        }  # fmt: skip

    @property
    def change(self) -> int:
        """The month, from 0, at whose beginning the share changes."""
        return int(self._drawn["month"])

    @property
    def drafted_before(self) -> int:
        """The month, from 0, whose beginning the pipeline is drafted at."""
        return self.change

    def features(self, rng: np.random.Generator, count: int) -> pl.DataFrame:
        """Draw what is known of parcels when they are sent."""
        return pl.DataFrame(
            {
                "weight_kg": rng.gamma(2.0, 2.0, count).round(2),
                "price": rng.normal(50, 15, count).round(2),
                "items": rng.integers(1, 8, count),
                "shop": rng.choice(SHOPS, count),
            }
        )

    def probability(self, features: pl.DataFrame, month: int) -> FloatArray:
        """Compute how likely each parcel of a month comes back."""
        share = self._drawn["after" if month >= self.change else "before"]
        shops = features["shop"].replace_strict(dict(zip(SHOPS, (-0.8, -0.3, 0.0, 0.4, 0.9), strict=True)))
        score = (features["weight_kg"].to_numpy() - 4) / 3 + (features["price"].to_numpy() - 50) / 30
        effect = self._drawn["strength"] * (score + shops.to_numpy())
        return 1 / (1 + np.exp(-(np.log(share / (1 - share)) + effect)))

    def months(self) -> Iterator[tuple[date, pl.DataFrame]]:
        """Draw the rows of each month."""
        rng = np.random.default_rng(self.seed + 1_000_000)
        for month in range(MONTHS):
            first, end = first_of(month), first_of(month + 1)
            count = int(self._drawn["rows"])
            features = self.features(rng, count)
            seconds = np.sort(rng.integers(0, (end - first).days * 86_400, count))
            times = [
                datetime.combine(first, datetime.min.time(), UTC) + timedelta(seconds=int(each)) for each in seconds
            ]
            happened = rng.random(count) < self.probability(features, month)
            keys = [f"p{month:02d}-{row:05d}" for row in range(count)]
            yield (
                first,
                features.with_columns(
                    pl.Series("parcel_id", keys),
                    pl.Series("sent_at", times),
                    pl.Series("came_back", happened.astype(int)),
                ),
            )


@dataclass(frozen=True)
class AsOf:
    """What happened at one as-of: true losses of the ungated fit, of the champion, and of the best baseline."""

    month: int
    by_hand: float
    baseline: float
    champion: float | None
    is_promoted: bool
    refused: str

    @property
    def hand_beats(self) -> bool:
        """Whether the ungated fit truly beats every baseline."""
        return self.by_hand < self.baseline

    @property
    def champion_beats(self) -> bool:
        """Whether what serves truly beats every baseline."""
        return self.champion is not None and self.champion < self.baseline


@dataclass(frozen=True)
class Outcome:
    """One history: its as-ofs, oldest first, and the month of the change."""

    seed: int
    change: int
    as_ofs: tuple[AsOf, ...]

    @property
    def losing_promotions(self) -> int:
        """Promotions that truly lose to a baseline."""
        return sum(each.is_promoted and not each.champion_beats for each in self.as_ofs)

    @property
    def is_in_time(self) -> bool:
        """Whether, from the change on, a champion beats the baselines at most one partition after the fit by hand."""
        after = [each for each in self.as_ofs if each.month > self.change]
        first = next((place for place, each in enumerate(after) if each.hand_beats), None)
        return first is None or any(each.champion_beats for each in after[first : first + 2])


def first_of(month: int) -> date:
    """Return the first day of a month, counted from that of the history."""
    return date(START.year + (START.month - 1 + month) // 12, (START.month - 1 + month) % 12 + 1, 1)


def drafted(world: World, folder: Path) -> PipelineSpec:
    """Draft the pipeline from the months before the change, as `ml-platform new` does."""
    for first, rows in world.months():
        if first < first_of(world.drafted_before):
            texts = rows.with_columns(pl.col("sent_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
            texts.write_csv(folder / f"{first:%Y-%m}.csv")
    asked = wanted(data=str(folder / "*.csv"), time="sent_at", target="came_back", known_after="1d", every="month")
    return PipelineSpec.model_validate(draft("parcels", asked, read_sample(asked, folder)).attributes)


def run(seed: int) -> Outcome:
    """Walk one history."""
    world = World(seed)
    with tempfile.TemporaryDirectory() as folder:
        spec = drafted(world, Path(folder))
    months = range(world.change - BEFORE, min(world.change + AFTER, MONTHS) + 1)
    with computing_with(1):
        return Outcome(seed, world.change, tuple(each for each, _ in Walk(world, spec).as_ofs(months)))


class Walk:
    """A drafted pipeline walked over a history: fitted, evaluated, gated and promoted as of each month."""

    def __init__(self, world: World, spec: PipelineSpec) -> None:
        self._world, self._spec, self._calendar = world, spec, Calendar(spec.partitions)
        rows = pl.concat([each for _, each in world.months()])
        plan = FeaturePlan.from_spec(spec, None)
        raw = rows.with_columns(pl.col("sent_at").cast(pl.Datetime("us", "UTC")))
        self._features = plan.transform(raw, {}).with_columns(
            self._calendar.keys_of(pl.col("sent_at")).alias("partition")
        )
        self._labels = known_labels(raw, spec.label, spec.key, spec.event_time)
        self._plan = plan
        self._champion: tuple[int, Trained, datetime] | None = None
        self._evaluations: list[Evaluation] = []

    def as_ofs(self, months: Iterable[int]) -> Iterator[tuple[AsOf, FitSet]]:
        """Fit, gate and promote as of the beginning of each month that can be trained."""
        for month in months:
            as_of = first_of(month).isoformat()
            try:
                table = self._table(as_of)
            except NotEnoughRows:
                continue
            yield self._step(month, as_of, table)

    def rows_of(self, first: int, end: int) -> pl.DataFrame:
        """Return features and labels of the rows from one month up to another."""
        at, start, stop = (
            pl.col(self._spec.event_time),
            *(self._calendar.instant(first_of(each)) for each in (first, end)),
        )
        rows = self._features.filter((at >= start) & (at < stop))
        return rows.join(self._labels.select(*self._spec.key, "label", "label_known_at"), on=self._spec.key)

    def _table(self, as_of: str) -> pl.DataFrame:
        keys = self._calendar.keys_before(as_of, self._spec.split.span)
        features = self._features.filter(pl.col("partition").is_in(keys))
        return split_rows(
            features, self._labels, key=self._spec.key, event_time=self._spec.event_time, split=self._spec.split,
            calendar=self._calendar, as_of=as_of,
        )  # fmt: skip

    @property
    def champion(self) -> Trained | None:
        """What serves."""
        return None if self._champion is None else self._champion[1]

    def _step(self, month: int, as_of: str, table: pl.DataFrame) -> tuple[AsOf, FitSet]:
        spec, rows = self._spec, FitRows(parted(table), known_rows(table))
        fits = fit_models(rows, spec, Fit(models=spec.models, ensemble=None, spec={}), as_of)
        version = ModelVersion(pipeline=spec.name, version=month, digest=f"{month:064x}", as_of=as_of, run_id="")
        evaluation = self._evaluated(version, rows.parts, fits.judged, fits.served)
        self._evaluations.insert(0, evaluation)
        if is_promoted := evaluation.outcome == "pass":
            until = learnt_until(spec.split, self._calendar, as_of, is_refit=True)
            self._champion = (month, fits.served, until)
        losses = self._true_losses(month - 1, rows, fits.served)
        reasons = "; ".join(each.sentence for each in evaluation.verdicts if each.outcome != "pass")
        return AsOf(month, *losses, is_promoted, reasons), fits

    def _evaluated(self, version: ModelVersion, rows: pl.DataFrame, judged: Trained, served: Trained) -> Evaluation:
        holdout = rows.filter(pl.col("part") == "holdout")
        labels, at = holdout["label"].cast(pl.Float64).to_numpy(), holdout[self._spec.event_time]
        champion = None
        if self._champion is not None:
            number, model, until = self._champion
            champion = ChampionScores(number, model.predict(holdout), (at >= until).to_numpy())
        baselines, measure = predict_baselines(rows), Measure(self._spec.label.task)
        gates = [gate for gate in self._spec.gates if isinstance(gate, Gate)]  # no server is started here
        evaluation = evaluate(
            version, labels=labels, candidate=judged.predict(holdout), baselines=baselines, champion=champion,
            gates=gates, measure=measure, at=at.dt.replace_time_zone(None).to_numpy(), earlier=self._evaluations,
        )  # fmt: skip
        scored = Scored(labels, judged.predict(holdout), baselines, measure)
        gate = next(each for each in self._spec.all_gates if isinstance(each, ServedFitGate))
        verdict, _ = judge_served_fit(gate, scored, served.predict(holdout), Learnt(0, None, None))
        return evaluation.model_copy(update={"verdicts": (*evaluation.verdicts, verdict)})

    def _true_losses(self, month: int, rows: FitRows, served: Trained) -> tuple[float, float, float | None]:
        """Compute the true loss of the ungated fit, the best baseline and the champion, in the world of a month."""
        rng = np.random.default_rng(self._world.seed + 2_000_000 + month)
        drawn = self._world.features(rng, TRUTH_ROWS)
        truth = self._world.probability(drawn, month)
        first, days = first_of(month), (first_of(month + 1) - first_of(month)).days
        seconds = rng.integers(0, days * 86_400, TRUTH_ROWS)
        times = pl.Series("sent_at", [datetime.combine(first, datetime.min.time(), UTC)] * TRUTH_ROWS)
        asked = drawn.with_columns(
            (times.cast(pl.Datetime("us", "UTC")) + pl.Series(seconds * 1_000_000).cast(pl.Duration("us"))).alias(
                "sent_at"
            ),
            pl.Series("parcel_id", [f"t{row}" for row in range(TRUTH_ROWS)]),
        )
        features = self._plan.transform(asked, {})
        best = min(_loss(truth, np.full(TRUTH_ROWS, share)) for share in self._shares(rows).values())
        champion = None if self._champion is None else _loss(truth, self._champion[1].predict(features))
        return _loss(truth, served.predict(features)), best, champion

    @staticmethod
    def _shares(rows: FitRows) -> Mapping[str, float]:
        """Return what each baseline predicts: those of the evaluation, and the same with every known row."""
        assert rows.known is not None  # noqa: S101 - the drafted pipeline refits
        judged = {name: float(each[0]) for name, each in predict_baselines(rows.parts).items()}
        newest = rows.known.filter(pl.col("day") == rows.known["day"].max())
        known = {"known prior": rows.known["label"], "known last value": newest["label"]}
        return judged | {name: float(np.asarray(labels.cast(pl.Float64)).mean()) for name, labels in known.items()}


def _loss(truth: FloatArray, predictions: FloatArray) -> float:
    said = np.clip(predictions, 1e-12, 1 - 1e-12)
    return float(-(truth * np.log(said) + (1 - truth) * np.log1p(-said)).mean())


def outcomes(count: int, processes: int = 2) -> list[Outcome]:
    """Walk the histories of the first seeds."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return list(pool.map(run, range(count)))


def main() -> None:
    """Walk the histories, and print what came of them."""
    count, processes = (int(each) for each in (*sys.argv[1:], *("200", "2")[len(sys.argv) - 1 :]))
    began = time.perf_counter()
    found = outcomes(count, processes)
    promotions = sum(each.is_promoted for one in found for each in one.as_ofs)
    losing = sum(one.losing_promotions for one in found)
    late = [one for one in found if not one.is_in_time]
    print(f"{count} histories, {sum(len(one.as_ofs) for one in found)} as-ofs, {promotions} promotions")
    print(f"promotions that truly lose to a baseline: {losing} ({losing / max(1, promotions):.1%})")
    print(f"in time: {count - len(late)} of {count} ({1 - len(late) / count:.1%})")
    for one in late[:5]:
        print(
            f"  late: seed {one.seed}, change in month {one.change}: " + " | ".join(_line(each) for each in one.as_ofs)
        )
    for one in [one for one in found if one.losing_promotions][:5]:
        print(f"  losing: seed {one.seed}, change in month {one.change}: " + " | ".join(map(_line, one.as_ofs)))
    print(f"{time.perf_counter() - began:.0f} s")


def _line(each: AsOf) -> str:
    champion = "none" if each.champion is None else f"{each.champion:.4f}"
    said = "promoted" if each.is_promoted else each.refused[:160]
    return f"{each.month}: by hand {each.by_hand:.4f}, baseline {each.baseline:.4f}, champion {champion}, {said}"


if __name__ == "__main__":
    main()
