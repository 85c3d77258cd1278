"""A walk forward over 24 months of a changing world: the fits that serve, against the same learner refitted by hand.

Run with `python -m benchmarks.changing_world [WORLDS]`. The share of the label drifts, what drives it turns slowly, and
once both jump. `ml-platform new` drafts the pipeline from the first nine months. Each later month is predicted by three
models: the version as of its beginning, gated or not; what the gates let serve; and LightGBM with the same parameters,
fitted by hand on every row known by then, its rounds chosen on the newest rows that validation is as long as. Printed
are the mean log losses on the labels that then happened, and each month in which the gates refused the candidate.
"""

import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from benchmarks.histories import MONTHS, SHOPS, FloatArray, Walk, World, drafted, first_of
from ml_platform.contracts.spec import LightGBMModel, PipelineSpec
from ml_platform.features.encoding import Encoder
from ml_platform.training.threads import computing_with
from ml_platform.training.trainer import Trained

FIRST = 9  # months that the pipeline is drafted from
WITHIN = 0.01


class ChangingWorld(World):
    """A world whose share and whose drivers move all the time, and jump once."""

    @property
    def change(self) -> int:
        """The month of the jump."""
        return 15

    @property
    def drafted_before(self) -> int:
        """The month, from 0, whose beginning the pipeline is drafted at."""
        return FIRST

    def probability(self, features: pl.DataFrame, month: int) -> FloatArray:
        """Compute how likely each parcel of a month comes back."""
        jump = 1.0 if month >= self.change else 0.0
        turn = 0.05 * month + 0.6 * jump + 0.3 * self.seed
        share = 0.25 + 0.1 * np.sin(month / 4 + self.seed) + 0.2 * jump
        shops = features["shop"].replace_strict(dict(zip(SHOPS, (-0.8, -0.3, 0.0, 0.4, 0.9), strict=True))).to_numpy()
        weight, price = (features["weight_kg"].to_numpy() - 4) / 3, (features["price"].to_numpy() - 50) / 15
        score = np.cos(turn) * weight + np.sin(turn) * price + shops
        return 1 / (1 + np.exp(-(np.log(share / (1 - share)) + score)))


class Step(NamedTuple):
    """One month: losses of the served fit, of the fit by hand and of what serves, and why the gates refused."""

    month: int
    fitted: float
    by_hand: float
    serving: float | None
    refused: str


def by_hand(rows: pl.DataFrame, spec: PipelineSpec) -> "partial[FloatArray]":
    """Fit LightGBM on every row known, its rounds chosen on the newest of them, without any of the platform's fits."""
    import lightgbm as lgb

    [model] = spec.models.values()
    assert isinstance(model, LightGBMModel)  # noqa: S101 - what a draft names
    params = {**model.params, "objective": "binary", "metric": "binary_logloss", "verbosity": -1, "num_threads": 1}
    params |= {"seed": model.seed, "deterministic": True, "force_row_wise": True}
    at = rows[spec.event_time]
    is_newest = (at >= at.max() - spec.split.validation).to_numpy()  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]
    encoder = Encoder.fit(rows, spec.features.columns)
    matrix, labels = encoder.encode(rows), rows["label"].cast(pl.Float64).to_numpy()
    categorical = [encoder.columns.index(name) for name in encoder.categorical]

    def dataset(mask: np.ndarray) -> "lgb.Dataset":
        return lgb.Dataset(matrix[mask], labels[mask], categorical_feature=categorical, free_raw_data=False)

    stopping = lgb.train(
        params, dataset(~is_newest), num_boost_round=model.rounds, valid_sets=[dataset(is_newest)],
        callbacks=[lgb.early_stopping(model.patience, verbose=False)],
    )  # fmt: skip
    booster = lgb.train(params, dataset(np.ones(len(rows), dtype=bool)), num_boost_round=stopping.best_iteration)
    return partial(_predict, booster, encoder)


def _predict(booster: object, encoder: Encoder, rows: pl.DataFrame) -> FloatArray:
    return np.asarray(booster.predict(encoder.encode(rows), num_threads=1))  # type: ignore[attr-defined]


def walk(seed: int) -> Iterator[Step]:
    """Walk one world."""
    world = ChangingWorld(seed)
    with tempfile.TemporaryDirectory() as folder:
        spec = drafted(world, Path(folder))
    walked = Walk(world, spec)
    with computing_with(1):
        for step, fits in walked.as_ofs(range(FIRST, MONTHS)):
            month, at = walked.rows_of(step.month, step.month + 1), first_of(step.month)
            known = walked.rows_of(0, step.month).filter(pl.col("label_known_at").dt.date() < at)
            hand = by_hand(known, spec)
            labels = month["label"].cast(pl.Float64).to_numpy()
            champion: Trained | None = walked.champion
            serving = None if champion is None else _loss(labels, champion.predict(month))
            served = _loss(labels, fits.served.predict(month))
            yield Step(step.month, served, _loss(labels, hand(month)), serving, step.refused)


def _loss(labels: FloatArray, predictions: FloatArray) -> float:
    said = np.clip(predictions, 1e-15, 1 - 1e-15)
    return float(-(labels * np.log(said) + (1 - labels) * np.log1p(-said)).mean())


def main() -> None:
    """Walk some worlds, and print a table for each and the ratio over all."""
    ratios: list[float] = []
    for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        steps = list(walk(seed))
        served, hand = (
            float(np.mean(each)) for each in zip(*((step.fitted, step.by_hand) for step in steps), strict=True)
        )
        gated: list[float] = [step.serving for step in steps if step.serving is not None]
        ratios.append(served / hand)
        print(f"\nworld {seed}: {len(steps)} months")
        print(f"served fits {served:.4f}, by hand {hand:.4f} ({served / hand - 1:+.2%})")
        print(f"what the gates let serve: {np.mean(gated):.4f} over {len(gated)} months")
        for month, one, other, champion, refused in steps:
            if refused:
                said = "none" if champion is None else f"{champion:.4f}"
                print(f"  month {month} refused: served fit {one:.4f}, by hand {other:.4f}, serving {said}; {refused}")
    verdict = "within" if max(ratios) <= 1 + WITHIN else "NOT within"
    print(f"\nserved over by hand: {', '.join(f'{ratio - 1:+.2%}' for ratio in ratios)}: {verdict} {WITHIN:.0%}")


if __name__ == "__main__":
    main()
