"""How often a gate against the champion errs on real flights, where rows of one day share their weather.

Run it with `python -m benchmarks.day_gates`; the table stands in `docs/gates.md`. The champion is a model of the
shipped flights, fitted anew each month on the sixty days before and asked about the month: ten months, 277,337 flights
on 306 days. A candidate is the champion made worse in one of several ways, by just so much that over all these days its
log loss is worse by exactly the margin that `ml-platform new` drafts. Holdouts are drawn day by day, each day with all
its rows, and judged as an evaluation judges them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq

from ml_platform.contracts.records import Window
from ml_platform.contracts.spec import Gate
from ml_platform.defs.flight_delays.source import NEW_YORK, load_flights, load_weather
from ml_platform.validation.bootstrap import Gap
from ml_platform.validation.days import day_interval
from ml_platform.validation.gates import judge
from ml_platform.validation.measure import Measure
from ml_platform.validation.metrics import weighted_metric
from ml_platform.validation.scored import Scored

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

YEAR = Window(start=datetime(2013, 1, 1, tzinfo=UTC), end=datetime(2014, 1, 2, tzinfo=UTC))
FIT_DAYS, ROUNDS = 60, 120
PARAMS = {"objective": "binary", "learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 100, "verbosity": -1,
          "num_threads": 1, "seed": 7, "deterministic": True, "force_row_wise": True}  # fmt: skip
LOSS_SHARE = 0.01  # of the prior's loss: the drafted margin where seeds differ by less
DAYS = (7, 14)
DRAWS = 2000
CONFIDENCE, Z = 0.95, 1.645


@dataclass(frozen=True)
class World:
    """Flights with what the champion and an old model say of them, and the day of each, numbered from 0."""

    labels: FloatArray
    champion: FloatArray
    stale: FloatArray
    days: IntArray

    @property
    def margin(self) -> float:
        """What `ml-platform new` allows: a share of the prior's loss."""
        return LOSS_SHARE * float(self.loss(np.full_like(self.labels, self.labels.mean())).mean())

    def loss(self, predictions: FloatArray) -> FloatArray:
        """Return the log loss of each flight."""
        return -np.log(np.where(self.labels == 1, predictions, 1 - predictions))

    def worse_by_the_margin(self, spoil: Callable[[float], FloatArray]) -> FloatArray:
        """Return the predictions that are spoiled just so much that over all flights they lose the margin."""

        def excess(strength: float) -> float:
            return float((self.loss(spoil(strength)) - self.loss(self.champion)).mean()) - self.margin

        return spoil(float(str(brentq(excess, 1e-6, 6))))


def load_world(last: str = "2013-12-01") -> World:
    """Fit the champion of each month from March to the last, and one old model of January and February."""
    flights, features = _flights()
    day = flights["day"]
    old = _fit(features, flights, day < "2013-03-01")
    champion = np.full(len(flights), np.nan)
    for start in pd.date_range("2013-03-01", last, freq="MS"):
        is_asked = ((day >= str(start.date())) & (day < str((start + pd.offsets.MonthBegin()).date()))).to_numpy()
        first = str((start - pd.Timedelta(days=FIT_DAYS)).date())
        model = _fit(features, flights, (day >= first) & (day < str(start.date())))
        champion[is_asked] = np.asarray(model.predict(features[is_asked]))
    known = np.isfinite(champion)
    return World(
        np.asarray(flights["is_late"][known], dtype=np.float64), champion[known],
        np.asarray(old.predict(features[known])), pd.factorize(day[known])[0].astype(np.intp),
    )  # fmt: skip


def _flights() -> tuple[pd.DataFrame, pd.DataFrame]:
    weather = load_weather(YEAR).sort_values("known_at")
    flights = load_flights(YEAR).dropna(subset=["is_late"]).sort_values("scheduled_departure")
    weather["known_at"] = weather["known_at"].astype(flights["scheduled_departure"].dtype)
    joined = pd.merge_asof(
        flights, weather, left_on="scheduled_departure", right_on="known_at", by="origin",
        tolerance=pd.Timedelta(hours=6),
    )  # fmt: skip
    local = joined["scheduled_departure"].dt.tz_convert(NEW_YORK)
    joined = joined.assign(day=local.dt.date.astype(str), hour=local.dt.hour, weekday=local.dt.dayofweek)
    categories = joined[["carrier", "origin", "dest"]].astype("category")
    numbers = [name for name in weather.columns if name not in ("origin", "known_at")]
    return joined, pd.concat([categories, joined[["hour", "weekday", "distance_miles", *numbers]]], axis=1)


def _fit(features: pd.DataFrame, flights: pd.DataFrame, is_known: "pd.Series[bool]"):
    import lightgbm as lgb

    return lgb.train(PARAMS, lgb.Dataset(features[is_known], flights["is_late"][is_known].astype(int)), ROUNDS)


def spoils(world: World, rng: np.random.Generator) -> Mapping[str, Callable[[float], FloatArray]]:
    """Return ways to make the champion worse, each from a strength to predictions."""
    logits, old = (
        np.log(np.clip(each, 1e-4, 1 - 1e-4) / np.clip(1 - each, 1e-4, 1)) for each in (world.champion, world.stale)
    )
    noise, by_day = rng.standard_normal(len(logits)), rng.standard_normal(world.days.max() + 1)[world.days]
    middle = logits.mean()
    return {
        "noise on each row": lambda by: _sigmoid(logits + by * noise),
        "noise on each day": lambda by: _sigmoid(logits + by * by_day),
        "too high": lambda by: _sigmoid(logits + by),
        "too low": lambda by: _sigmoid(logits - by),
        "too flat": lambda by: _sigmoid(logits - by * (logits - middle)),
        "too sure": lambda by: _sigmoid(logits + by * (logits - middle)),
        "towards a stale model": lambda by: _sigmoid(logits + by * (old - logits)),
    }


def _sigmoid(logits: FloatArray) -> FloatArray:
    return 1 / (1 + np.exp(-logits))


def promoted(world: World, candidate: FloatArray, days: int, draws: int, seed: int = 0) -> tuple[float, float]:
    """Return the share of holdouts on which the gate passes, and on which an interval over rows alone would pass it."""
    gate = Gate(metric="log_loss", versus="champion", worse_by_at_most=world.margin, confidence=CONFIDENCE)
    rows = np.split(np.argsort(world.days, kind="stable"), np.cumsum(np.bincount(world.days))[:-1])
    rng, passed = np.random.default_rng((seed, days)), np.zeros(2)
    for _ in range(draws):
        drawn = [rows[day] for day in rng.integers(len(rows), size=days)]
        asked, day = np.concatenate(drawn), np.repeat(np.arange(days), [len(each) for each in drawn])
        labels, mine, other = world.labels[asked], candidate[asked], world.champion[asked]
        difference = Gap(*(weighted_metric("log_loss", labels, each, "binary") for each in (mine, other)))
        influence = difference.influence()
        over_rows = float(difference(np.ones((1, len(asked))))[0] + Z * np.sqrt(np.square(influence).sum()))
        # The gate asks both intervals: the one over rows is drawn only where the other would let the candidate pass.
        is_kept = day_interval(difference, day, 2 * CONFIDENCE - 1).high <= world.margin
        scored = Scored(labels, mine, {"champion": other}, Measure("binary"), days=day)
        is_passed = is_kept and judge(gate, holdout=scored.measured(), champion=scored.measured()).outcome == "pass"
        passed += (is_passed, over_rows <= world.margin)
    return float(passed[0] / draws), float(passed[1] / draws)


def main() -> None:
    """Print the share that is promoted, for each way and each number of days."""
    world = load_world()
    print(
        f"{len(world.labels):,} flights on {world.days.max() + 1} days, {DRAWS:,} holdouts; margin {world.margin:.4f}"
    )
    print("| worse by the margin | " + " | ".join(f"{days} days | over rows alone" for days in DAYS) + " |")
    total: dict[int, list[float]] = {days: [] for days in DAYS}
    for name, spoil in spoils(world, np.random.default_rng(0)).items():
        candidate = world.worse_by_the_margin(spoil)
        cells = [name]
        for days in DAYS:
            share, over_rows = promoted(world, candidate, days, DRAWS)
            total[days].append(share)
            cells += [f"{share:.3f}", f"{over_rows:.3f}"]
        print("| " + " | ".join(cells) + " |", flush=True)
    print("all of them: " + ", ".join(f"{days} days {np.mean(shares):.3f}" for days, shares in total.items()))


if __name__ == "__main__":
    main()
