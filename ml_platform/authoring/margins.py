"""How much worse than the champion a candidate of a new pipeline may be: measured on the sample, before it ever runs.

A margin is what honest fits of one recipe differ by. Three of them, each with a seed of its own, are fitted on the
older part of the sample and measured on its newest part, and so are the baselines.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ml_platform.contracts.errors import PlatformError
from ml_platform.contracts.metrics import HIGHER_IS_BETTER, Task
from ml_platform.contracts.spec import LightGBMModel
from ml_platform.data.splits.parts import DAY, LABEL, PART
from ml_platform.scoring.classes import Class, class_numbers, ordered, spread
from ml_platform.training.baselines import predict_baselines
from ml_platform.training.threads import computing_with
from ml_platform.validation.measure import FloatArray, Measure
from ml_platform.validation.metrics import score

ROWS_AT_MOST = 12_000  # of the sample, so that three fits take seconds
SEEDS = (0, 1, 2)
FITTED_SHARE = 0.8  # of the rows to learn from, others for each seed
LOSS_SHARE = 0.01
ROUNDS_AT_MOST = 400  # of a fit that is only compared with its twins
_ENDS = (0.6, 0.8)  # of train and of validation, as shares of the sample by time


@dataclass(frozen=True)
class Recipe:
    """What the pipeline will fit, on which columns.

    Parameters
    ----------
    model : mapping
        Of the spec, as it is written.
    columns : sequence of str
        The features.
    derived : mapping of str to str
        Those that SQL over the inputs gives.
    """

    model: Mapping[str, Any]
    columns: Sequence[str]
    derived: Mapping[str, str]


@dataclass(frozen=True)
class Target:
    """What is predicted, of which row, when.

    Parameters
    ----------
    label, time : str
        Its column, and that of the event time.
    task : Task
        What the label is.
    quantile : float or None
        What a regression predicts, if not the mean.
    partition : str
        The length of a partition, for polars: `1d`, `1w` or `1mo`.
    """

    label: str
    time: str
    task: Task
    quantile: float | None
    partition: str


@dataclass(frozen=True)
class Margin:
    """A margin and where it comes from, in a sentence."""

    size: float
    origin: str


@dataclass(frozen=True)
class Margins:
    """What the baselines and the seeds of a recipe have of each metric on the newest part of a sample.

    Parameters
    ----------
    baselines : mapping of str to mapping
        Name -> value by metric.
    seeds : sequence of mapping
        Value by metric of each seed; empty if the recipe could not be fitted.
    rows : int
        How many rows they were measured on.
    because : str
        Why the recipe could not be fitted.
    """

    baselines: Mapping[str, Mapping[str, float]]
    seeds: Sequence[Mapping[str, float]]
    rows: int
    because: str = ""

    def of(self, metric: str, share: float = LOSS_SHARE) -> Margin:
        """Return the larger of a share of the best baseline's value and twice the spread of the seeds."""
        least = self.share_of(metric, share)
        floor, said = least.size, least.origin
        values = [seed[metric] for seed in self.seeds if metric in seed]
        if len(values) < len(SEEDS):
            return Margin(
                floor, f"{said}, on {self.rows:,} sampled rows; {self.because or 'no seed could be measured'}"
            )
        twice = _rounded_up(2 * (max(values) - min(values)))
        seeds = f"twice the spread of three seeds, each on its own four fifths ({max(values) - min(values):.2g})"
        one, other = (said, seeds) if floor >= twice else (seeds, said)
        return Margin(max(floor, twice), f"{one}, which is more than {other}, on {self.rows:,} sampled rows")

    def share_of(self, metric: str, share: float) -> Margin:
        """Return a share of the best baseline's value."""
        best, name = self._best(metric)
        return Margin(
            _rounded_up(share * best), f"{100 * share:.3g} % of the best baseline's {metric} ({name} {best:.4g})"
        )

    def _best(self, metric: str) -> tuple[float, str]:
        known = {name: values[metric] for name, values in self.baselines.items() if metric in values}
        if not known:
            return 0.0, "none has one"
        best = max if metric in HIGHER_IS_BETTER else min
        name = best(known, key=lambda each: known[each])
        return known[name], name


def measure_margins(rows: pl.DataFrame, target: Target, recipe: Recipe) -> Margins:
    """Measure baselines and three seeds of a recipe on the newest fifth of a sample.

    Parameters
    ----------
    rows : (n_rows, ...)
        The sample. Rows without label or time are left out, and of very many only some are taken.

    Returns
    -------
    Margins
        The same for the same sample. Without seeds if the recipe cannot be fitted on it, with the reason.
    """
    parts = _parts(rows, target, recipe.derived)
    holdout = parts.filter(pl.col(PART) == "holdout")
    classes = ordered(parts[LABEL].unique()) if target.task == "multiclass" else ()
    labels = class_numbers(holdout[LABEL], classes) if classes else holdout[LABEL].cast(pl.Float64).to_numpy()
    measure = Measure(target.task, quantile=target.quantile)
    constants = predict_baselines(parts, classes, target.quantile)
    baselines = {name: score(labels, each, measure) for name, each in constants.items()}
    try:
        with computing_with(1):  # fits of this size take longer where threads wait for each other
            fits = [_predict(parts, target, recipe, classes, seed) for seed in SEEDS]
    except PlatformError as error:
        return Margins(baselines, (), len(holdout), f"the recipe could not be fitted on it ({error})"[:200])
    return Margins(baselines, [score(labels, each, measure) for each in fits], len(holdout))


def _parts(rows: pl.DataFrame, target: Target, derived: Mapping[str, str]) -> pl.DataFrame:
    """Cut the sample by time, as a training set is cut."""
    known = rows.drop_nulls([target.label, target.time]).sort(target.time, maintain_order=True)
    some = known.gather_every(max(1, math.ceil(len(known) / ROWS_AT_MOST)))
    place = pl.int_range(pl.len()) / pl.len()
    part = pl.when(place < _ENDS[0]).then(pl.lit("train")).when(place < _ENDS[1]).then(pl.lit("validation"))
    return some.with_columns(pl.sql_expr(each).alias(name) for name, each in derived.items()).with_columns(
        part.otherwise(pl.lit("holdout")).alias(PART),
        pl.col(target.label).alias(LABEL),
        pl.col(target.time).dt.truncate(target.partition).alias(DAY),
    )


def _predict(parts: pl.DataFrame, target: Target, recipe: Recipe, classes: Sequence[Class], seed: int) -> FloatArray:
    """Fit the recipe with a seed, on its own share of train, and predict the newest part.

    Where a recipe draws nothing, its seed alone changes no fit; other rows do, as those of another month would.
    """
    from ml_platform.training.fitting import fit_model

    model = LightGBMModel.model_validate({"rounds": ROUNDS_AT_MOST, **recipe.model, "seed": seed})
    train = np.flatnonzero((parts[PART] == "train").to_numpy())
    left_out = np.random.default_rng(seed).permutation(train)[: round((1 - FITTED_SHARE) * len(train))]
    rows = parts.with_row_index("row").filter(~pl.col("row").is_in(left_out)).drop("row")
    trained = fit_model(rows, list(recipe.columns), model, target.task, event_time=target.time)
    predictions = trained.predict(parts.filter(pl.col(PART) == "holdout"))
    return spread(predictions, trained.classes, classes) if classes else predictions


def _rounded_up(value: float) -> float:
    """Round up to two digits."""
    if value <= 0 or not math.isfinite(value):
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / unit * (1 - 1e-9)) * unit:.2g}")
