"""Generated rides for drafted gates: what `new` drafts of them, honest retrains as of many days, and spoiled models."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.authoring.draft import Draft, draft
from ml_platform.authoring.gates import Predicted
from ml_platform.authoring.sample import read_sample
from ml_platform.authoring.wanted import wanted
from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.records import ModelVersion
from ml_platform.contracts.spec import Gate, LightGBMModel
from ml_platform.scoring.classes import class_numbers
from ml_platform.training.baselines import predict_baselines
from ml_platform.training.fitting import fit_model, refit_model
from ml_platform.training.threads import computing_with
from ml_platform.validation.evaluation import ChampionScores, evaluate
from ml_platform.validation.measure import Measure

FloatArray = NDArray[np.float64]

START = datetime(2023, 1, 2, tzinfo=UTC)
QUANTILE = 0.9
CLASSES = ("a", "b", "c")
VERSION = ModelVersion(pipeline="rides", version=2, digest="d", as_of="2023-06-01", run_id="r")
SAID: Mapping[Predicted, Mapping[str, Any]] = {
    "binary": {"target": "is_yes"},
    "multiclass": {"target": "kind"},
    "regression": {"target": "amount"},
    "quantile": {"target": "amount", "quantile": QUANTILE},
}


def rides(predicted: Predicted, days: int, a_day: int, seed: int, turned: float = 1.0) -> pl.DataFrame:
    """Return rides of a quiet world; `turned: -1` is a world in which the features mean the opposite."""
    rng = np.random.default_rng(seed)
    count = days * a_day
    distance, zone = rng.gamma(2.0, 2.0, count).round(3), rng.choice(["north", "south", "west"], count)
    people = rng.integers(1, 6, count)
    score = turned * (0.45 * (distance - 4) + 0.9 * (zone == "south") - 0.35 * (people - 3))
    rows = pl.DataFrame({
        "ride_id": [f"r{row:07d}" for row in range(count)],
        "at": [START + timedelta(days=1) * (row / a_day) for row in range(count)],
        "distance_km": distance, "zone": zone, "people": people,
    })  # fmt: skip
    return rows.with_columns(_label(predicted, score, rng))


def _label(predicted: Predicted, score: FloatArray, rng: np.random.Generator) -> pl.Series:
    if predicted == "binary":
        return pl.Series("is_yes", (rng.random(len(score)) < 1 / (1 + np.exp(0.8 - score))).astype(int))
    if predicted == "multiclass":
        drawn = np.column_stack([score, np.zeros(len(score)), -0.7 * score]) + rng.gumbel(size=(len(score), 3))
        return pl.Series("kind", np.array(CLASSES)[drawn.argmax(axis=1)])
    return pl.Series("amount", (20 + 4 * score + rng.normal(0, 4, len(score)) + rng.gamma(1, 2, len(score))).round(2))


@dataclass(frozen=True)
class Fitted:
    """What one fit says of a holdout, and what is known of that."""

    labels: FloatArray
    predictions: FloatArray
    baselines: Mapping[str, FloatArray]
    at: NDArray[np.datetime64]
    holdout: pl.DataFrame
    predict: Callable[[pl.DataFrame], FloatArray]


@dataclass(frozen=True)
class Drafted:
    """A drafted pipeline of generated rides."""

    predicted: Predicted
    made: Draft
    rows: pl.DataFrame
    a_day: int

    @property
    def gates(self) -> list[Gate]:
        """The gates that were written."""
        return [Gate.model_validate(gate) for gate in self.made.attributes["gates"] if "kind" not in gate]

    @property
    def last(self) -> int:
        """The last day for which there is a model, counted from the first ride."""
        return len(self.rows) // self.a_day

    @property
    def first(self) -> int:
        """The day on which the drafted pipeline has its first model."""
        return (self.made.span.as_of - START.date()).days

    def parts(self, day: int, rows: pl.DataFrame | None = None) -> pl.DataFrame:
        """Cut a training set as of a day."""
        span, as_of = self.made.span, START + timedelta(days=day)
        ends = [
            as_of - timedelta(days=past) for past in (span.train + 2 * span.held_out, 2 * span.held_out, span.held_out)
        ]
        at = pl.col("at")
        part = pl.when(at < ends[1]).then(pl.lit("train")).when(at < ends[2]).then(pl.lit("validation"))
        known = (self.rows if rows is None else rows).filter((at >= ends[0]) & (at < as_of))
        derived = [pl.sql_expr(text).alias(name) for name, text in self.made.derived.items()]
        label = SAID[self.predicted]["target"]
        return known.with_columns(
            *derived, part.otherwise(pl.lit("holdout")).alias("part"), pl.col(label).alias("label"),
            at.dt.truncate("1d").alias("day"),
        )  # fmt: skip

    def fit(self, parts: pl.DataFrame) -> Fitted:
        """Fit the drafted recipe as a candidate is judged, on train and validation, and predict the holdout."""
        task, columns = self.made.task, self.made.attributes["features"]["columns"]
        [model] = (LightGBMModel.model_validate(each) for each in self.made.attributes["models"].values())
        with computing_with(1):
            tuning = fit_model(parts, columns, model, task)
            trained = refit_model(parts.filter(pl.col("part") != "holdout"), columns, model, task, tuning)
        holdout = parts.filter(pl.col("part") == "holdout")
        classes = CLASSES if task == "multiclass" else ()
        label = holdout["label"]
        labels = class_numbers(label, classes) if classes else label.cast(pl.Float64).to_numpy()
        baselines = predict_baselines(parts, classes, self.quantile)
        at = holdout["at"].dt.replace_time_zone(None).to_numpy()
        return Fitted(labels, trained.predict(holdout), baselines, at, holdout, trained.predict)

    @property
    def quantile(self) -> float | None:
        """What a regression predicts, if not the mean."""
        return QUANTILE if self.predicted == "quantile" else None

    def judge(
        self, fitted: Fitted, candidate: FloatArray, champion: FloatArray | None, gates: list[Gate] | None = None
    ) -> Evaluation:
        """Judge predictions by the drafted gates, or by others."""
        scores = None if champion is None else ChampionScores(1, champion, np.ones(len(fitted.labels), dtype=bool))
        return evaluate(
            VERSION, labels=fitted.labels, candidate=candidate, baselines=fitted.baselines, champion=scores,
            gates=self.gates if gates is None else gates, measure=Measure(self.made.task, quantile=self.quantile),
            at=fitted.at,
        )  # fmt: skip


def drafted(predicted: Predicted, folder: Path, *, days: int, a_day: int, seed: int, later: int = 0) -> Drafted:
    """Draft a pipeline from a file of the rides of some days; later ones of the same world are still to come."""
    rows = rides(predicted, days + later, a_day, seed)
    folder.mkdir(parents=True, exist_ok=True)
    known = rows.head(days * a_day).with_columns(pl.col("at").dt.strftime("%Y-%m-%d %H:%M:%S"))
    known.write_csv(folder / "rides.csv")
    said = wanted(data=str(folder / "rides.csv"), time="at", known_after="0h", **SAID[predicted])
    return Drafted(predicted, draft("rides", said, read_sample(said, folder)), rows, a_day)


def honest(world: Drafted, step: int) -> Iterator[tuple[Fitted, FloatArray | None]]:
    """Yield each honest retrain with what the one before says of its holdout."""
    before: Fitted | None = None
    for day in range(world.first, world.last + 1, step):
        fitted = world.fit(world.parts(day))
        yield fitted, None if before is None else before.predict(fitted.holdout)
        before = fitted


def spoiled(world: Drafted, day: int) -> Iterator[tuple[str, FloatArray, Fitted]]:
    """Yield spoiled models by name, with the honest one of the same day."""
    parts = world.parts(day)
    fitted = world.fit(parts)
    rng = np.random.default_rng(day)
    shuffled = parts.with_columns(pl.col("label").shuffle(seed=day))
    is_holdout = parts["part"] == "holdout"
    shuffled = shuffled.with_columns(label=pl.when(is_holdout).then(parts["label"]).otherwise(pl.col("label")))
    yield "fitted on shuffled labels", world.fit(shuffled).predictions, fitted
    turned = rides(world.predicted, world.last, world.a_day, seed=day, turned=-0.3)
    stale = world.fit(world.parts(day, turned))
    yield "fitted on a stale world", stale.predict(fitted.holdout), fitted
    yield "shuffled predictions", rng.permutation(fitted.predictions, axis=0), fitted
    by_task = {"binary": _binary, "multiclass": _multiclass, "regression": _regression, "quantile": _regression}
    for name, predictions in by_task[world.predicted](fitted.predictions, fitted):
        yield name, predictions, fitted


def _binary(predictions: FloatArray, fitted: Fitted) -> Iterator[tuple[str, FloatArray]]:
    logits, prior = np.log(predictions / (1 - predictions)), fitted.baselines["prior"]
    yield "turned round", 1 - predictions
    yield "a constant worse than the prior", np.minimum(prior + 0.1, 0.99)
    yield "ranked well, too sure", 1 / (1 + np.exp(-2.2 * logits))
    yield "ranked well, hopelessly sure", 1 / (1 + np.exp(-8 * logits))
    yield "ranked well, too high", 1 / (1 + np.exp(-logits - 0.8))
    yield "ranked well, too flat", 1 / (1 + np.exp(-logits.mean() - 0.3 * (logits - logits.mean())))


def _multiclass(predictions: FloatArray, fitted: Fitted) -> Iterator[tuple[str, FloatArray]]:
    prior, sure = fitted.baselines["prior"], predictions**2.5
    yield "classes mixed up", np.roll(predictions, 1, axis=1)
    yield "a constant worse than the prior", 0.7 * prior + 0.3 * np.eye(3)[0]
    yield "ranked well, too sure", sure / sure.sum(axis=1, keepdims=True)
    yield "ranked well, too flat", 0.4 * predictions + 0.6 / 3


def _regression(predictions: FloatArray, fitted: Fitted) -> Iterator[tuple[str, FloatArray]]:
    middle, spread = predictions.mean(), predictions.std()
    yield "turned round", 2 * middle - predictions
    yield "a constant worse than the prior", fitted.baselines["prior"] + spread
    yield "scaled", middle + 1.7 * (predictions - middle)
    yield "too high", predictions + spread
    yield "too low", predictions - spread
    yield "of another level", predictions + np.quantile(fitted.labels - predictions, 0.25)
    yield "too flat", middle + 0.3 * (predictions - middle)
