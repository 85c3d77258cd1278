"""A retrain as a good engineer would write it by hand: Delta tables, LightGBM, scikit-learn and MLflow, no platform.

It reads the same features and labels, trains with the same parameters, takes the same metrics of candidate, champion
and baselines with the same paired bootstraps, and leaves in MLflow a finished run with a registered model. With
`is_told` it also evaluates what the platform's report tells: the interval of every metric of candidate and champion,
how much each feature moved the predictions, and the four usual pictures.
"""

import json
import platform
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.bare_report import tell

if TYPE_CHECKING:
    import lightgbm as lgb

ZONE = ZoneInfo("America/New_York")
LENGTHS = {"train": 60, "validation": 7, "holdout": 7}
CATEGORIES = ("carrier", "origin", "dest")
RESAMPLES = 2000
MARGIN, NEWEST_DAYS, SLICE_AT_LEAST = 0.05, 3, 200
LIBRARIES = ("lightgbm", "numpy", "polars", "pyarrow")
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Bare:
    """The script's surroundings: tables, MLflow, features and LightGBM's parameters."""

    lake: str
    experiment_id: str
    columns: list[str]
    params: dict[str, Any]
    rounds: int
    patience: int
    is_told: bool = False

    def retrain(self, as_of: str, embargo: int) -> None:
        """Train, evaluate, log and register as of a day; a model that is not worse becomes champion."""
        import mlflow

        rows = self._rows(date.fromisoformat(as_of), embargo)
        parts = {name: rows.filter(pl.col("part") == name) for name in LENGTHS}
        codes = {name: _codes(parts["train"][name]) for name in CATEGORIES}
        matrices = {name: self._matrix(part, codes) for name, part in parts.items()}
        booster, losses = self._fit(matrices, {name: _labels(part) for name, part in parts.items()})
        holdout, labels = parts["holdout"], _labels(parts["holdout"])
        predictions = {
            "candidate": np.asarray(booster.predict(matrices["holdout"])),
            **_champion(matrices["holdout"]),
            **_baselines(pl.concat([parts["train"], parts["validation"]]), len(holdout)),
        }
        metrics = {name: _metrics(labels, predicted) for name, predicted in predictions.items()}
        weights = np.random.default_rng(0).poisson(1, (RESAMPLES, len(labels))).astype(np.float32)
        verdicts = _verdicts(holdout, labels, predictions, weights)
        with mlflow.start_run(experiment_id=self.experiment_id) as run:
            self._log(run.info.run_id, as_of, booster, losses, metrics, verdicts)
            if self.is_told:
                tell(labels, predictions, weights, booster, matrices["holdout"])
            self._register(booster, matrices["holdout"], is_better=all(verdicts.values()))

    def _rows(self, as_of: date, embargo: int) -> pl.DataFrame:
        edges, end = {}, as_of
        for name in reversed(LENGTHS):
            start = end - timedelta(days=LENGTHS[name])
            edges[name] = (_midnight(start), _midnight(end))
            end = start - timedelta(days=embargo)
        days = [str(end + timedelta(days=day)) for day in range((as_of - end).days)]
        features = self._read("features", days, None)
        labels = self._read("validated", days, ["flight_id", "is_late", "landed_at"]).drop("partition")
        at = pl.col("scheduled_departure")
        part = pl.coalesce(pl.when((at >= a) & (at < b)).then(pl.lit(name)) for name, (a, b) in edges.items())
        known = pl.coalesce(
            pl.when(pl.col("part") == name).then(pl.lit(edges[after][0]))
            for name, after in (("train", "validation"), ("validation", "holdout"))
        ).fill_null(_midnight(as_of))
        joined = features.with_columns(part=part).drop_nulls("part").join(labels, on="flight_id")
        return joined.filter((pl.col("landed_at") < known) & pl.col("is_late").is_not_null()).sort(at, "flight_id")

    def _read(self, table: str, days: list[str], columns: list[str] | None) -> pl.DataFrame:
        from deltalake import DeltaTable

        found = DeltaTable(f"{self.lake}/flight_delays/{table}").to_pyarrow_table(
            partitions=[("partition", "in", days)], columns=None if columns is None else [*columns, "partition"]
        )
        return pl.DataFrame(found)

    def _matrix(self, rows: pl.DataFrame, codes: dict[str, dict[str, int]]) -> FloatArray:
        coded = [
            pl.col(name).replace_strict(known, default=None, return_dtype=pl.Float64) for name, known in codes.items()
        ]
        return rows.with_columns(coded).select(pl.col(self.columns).cast(pl.Float64)).to_numpy()

    def _fit(self, matrices: dict[str, FloatArray], labels: dict[str, FloatArray]) -> "tuple[lgb.Booster, list[float]]":
        import lightgbm as lgb

        train = lgb.Dataset(
            matrices["train"], labels["train"], feature_name=self.columns, categorical_feature=list(CATEGORIES)
        )
        validation = lgb.Dataset(matrices["validation"], labels["validation"], reference=train)
        history: dict[str, dict[str, list[float]]] = {}
        callbacks = [lgb.early_stopping(self.patience, verbose=False), lgb.record_evaluation(history)]
        booster = lgb.train(
            self.params, train, self.rounds, valid_sets=[validation], valid_names=["validation"], callbacks=callbacks
        )
        return booster, history["validation"]["binary_logloss"]

    def _log(
        self,
        run_id: str,
        as_of: str,
        booster: "lgb.Booster",
        losses: list[float],
        metrics: dict[str, dict[str, float]],
        verdicts: Any,
    ) -> None:
        import mlflow
        from mlflow.entities import Metric

        mlflow.log_params({"as_of": as_of, **LENGTHS, **self.params})
        mlflow.set_tags({"pipeline": "flight_delays", "as_of": as_of, "gates": json.dumps(verdicts)})
        mlflow.log_metrics({f"{model}.{name}": value for model, of in metrics.items() for name, value in of.items()})
        step = max(1, len(losses) // 100)
        now = int(datetime.now().timestamp() * 1000)
        points = [Metric("validation_log_loss", losses[at], now, at + 1) for at in range(0, len(losses), step)]
        mlflow.MlflowClient().log_batch(run_id, points)
        mlflow.log_dict({"platform": platform.platform(), **_libraries()}, "environment.json")
        gains = map(float, booster.feature_importance("gain"))
        mlflow.log_dict(dict(zip(self.columns, gains, strict=True)), "importance.json")

    def _register(self, booster: "lgb.Booster", matrix: FloatArray, *, is_better: bool) -> None:
        import mlflow
        import pandas as pd
        from mlflow.lightgbm import log_model
        from mlflow.models import infer_signature

        shown = pd.DataFrame(matrix[:5], columns=self.columns)
        signature = infer_signature(shown, booster.predict(matrix[:5]))
        made = log_model(
            booster, name="model", signature=signature, input_example=shown, registered_model_name="bare",
            pip_requirements=[f"{name}=={at}" for name, at in _libraries().items()],
        )  # fmt: skip
        if is_better:
            mlflow.MlflowClient().set_registered_model_alias("bare", "champion", str(made.registered_model_version))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZONE).astimezone(UTC)


def _libraries() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}


def _codes(values: pl.Series) -> dict[str, int]:
    return {value: code for code, value in enumerate(values.drop_nulls().unique().sort())}


def _labels(rows: pl.DataFrame) -> FloatArray:
    return rows["is_late"].cast(pl.Float64).to_numpy()


def _champion(matrix: FloatArray) -> dict[str, FloatArray]:
    import mlflow
    from mlflow.lightgbm import load_model

    if not mlflow.MlflowClient().search_model_versions("name = 'bare'"):
        return {}
    booster: Any = load_model("models:/bare@champion")
    return {"champion": np.asarray(booster.predict(matrix))}


def _baselines(fitted: pl.DataFrame, count: int) -> dict[str, FloatArray]:
    newest = fitted.filter(pl.col("partition") == fitted["partition"].max())
    return {"prior": np.full(count, _labels(fitted).mean()), "last_value": np.full(count, _labels(newest).mean())}


def _metrics(labels: FloatArray, predicted: FloatArray) -> dict[str, float]:
    from sklearn import metrics

    order = np.array_split(np.argsort(predicted, kind="stable"), 10)
    gaps = [len(bin_) * abs(labels[bin_].mean() - predicted[bin_].mean()) for bin_ in order]
    return {
        "log_loss": metrics.log_loss(labels, predicted),
        "brier": metrics.brier_score_loss(labels, predicted),
        "roc_auc": metrics.roc_auc_score(labels, predicted),
        "average_precision": metrics.average_precision_score(labels, predicted),
        "calibration_error": sum(gaps) / len(labels),
    }


def _verdicts(
    rows: pl.DataFrame, labels: FloatArray, predictions: dict[str, FloatArray], weights: NDArray[np.float32]
) -> dict[str, bool]:
    """Judge what the spec's gates judge: comparisons by a paired bootstrap, 95 % one-sided."""
    candidate = predictions["candidate"]
    losses = _losses(labels, candidate)
    verdicts = {"log_loss_at_most_0_65": bool(losses.mean() <= 0.65)}
    if "champion" in predictions:
        worse = (losses - _losses(labels, predictions["champion"])).astype(np.float32)
        verdicts |= _not_worse(rows, worse, weights)
    areas = resampled_areas(labels, candidate, weights)
    verdicts["roc_auc_better_than_baseline"] = bool(np.quantile(areas, 0.05) >= 0.52)
    return verdicts


def _not_worse(rows: pl.DataFrame, worse: NDArray[np.float32], weights: NDArray[np.float32]) -> dict[str, bool]:
    """Compare with the champion on the whole holdout, on its newest days and on each large carrier."""
    at = pl.col("scheduled_departure")
    newest = rows.select(at >= at.max() - pl.duration(days=NEWEST_DAYS)).to_series().to_numpy()
    carriers = rows["carrier"].value_counts().filter(pl.col("count") >= SLICE_AT_LEAST)["carrier"]
    per = [
        np.quantile(_resampled_means(worse, weights, (rows["carrier"] == carrier).to_numpy()), 0.05 / len(carriers))
        for carrier in carriers
    ]
    everything = np.ones(len(worse), dtype=bool)
    return {
        "log_loss_not_worse_than_champion": bool(
            np.quantile(_resampled_means(worse, weights, everything), 0.95) <= MARGIN
        ),
        "newest_not_worse_than_champion": bool(np.quantile(_resampled_means(worse, weights, newest), 0.95) <= MARGIN),
        "no_carrier_worse_than_champion": bool(max(per, default=0) <= MARGIN),
    }


def _resampled_means(
    values: NDArray[np.float32], weights: NDArray[np.float32], chosen: NDArray[np.bool_]
) -> NDArray[np.float32]:
    drawn = weights[:, chosen]
    return drawn @ values[chosen] / drawn.sum(axis=1)


def resampled_areas(labels: FloatArray, predicted: FloatArray, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the area under the ROC curve of each resample."""
    order = np.argsort(predicted, kind="stable")
    ordered, late = weights[:, order], labels[order].astype(bool)
    below = np.cumsum(ordered * ~late, axis=1)
    area = (ordered[:, late] * below[:, late]).sum(axis=1)
    return area / (ordered[:, late].sum(axis=1) * ordered[:, ~late].sum(axis=1))


def _losses(labels: FloatArray, predicted: FloatArray) -> FloatArray:
    return -np.log(np.where(labels == 1, predicted, 1 - predicted))
