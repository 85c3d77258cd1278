"""One run of LightGBM on encoded rows, stopped early: in this process here, over several workers in `distributed`.

Only what LightGBM itself is asked for; what rows, weights and parameters mean is the trainer's business.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ml_platform.training.parts import Part
from ml_platform.training.trainer import Watch

if TYPE_CHECKING:
    from lightgbm import Booster

VALIDATION = "validation"
# LightGBM refuses some characters of a name ([ ] { } " : ,), replaces others, and splits its text at blanks.
_PLAIN_NAME = re.compile(r"[\w.-]+")
# How many threads a machine had for a fit is no part of a model: trees are the same for any number of them.
_THREADS = re.compile(r"^\[num_threads: \d+\]$", re.MULTILINE)


@dataclass(frozen=True)
class Boosting:
    """What LightGBM is asked for.

    Parameters
    ----------
    params : mapping
        By LightGBM's names; with one metric, which is the loss to stop by.
    columns, categorical : list of str
        Names of the features, and of those that are categories, as users write them.
    rounds, patience : int
        At most so many; stopped when so many brought nothing. Without rows to stop by, exactly `rounds`.
    """

    params: dict[str, Any]
    columns: list[str]
    categorical: list[str]
    rounds: int
    patience: int


@dataclass(frozen=True)
class Boosted:
    """What LightGBM gave.

    Parameters
    ----------
    booster : Booster
        With all rounds, of which `rounds` are kept.
    history : list of float
        Loss on the validation part after each round; empty without one.
    rounds : int
        Number of the round with the least loss; all of them without a validation part.
    """

    booster: "Booster"
    history: list[float]
    rounds: int

    @property
    def text(self) -> str:
        """The model in LightGBM's native text, up to the best round."""
        return _THREADS.sub("[num_threads: 0]", self.booster.model_to_string(num_iteration=self.rounds))

    @property
    def loss(self) -> float | None:
        """On the validation part, at the best round; None without one."""
        return self.history[self.rounds - 1] if self.history else None


def internal_names(columns: Sequence[str]) -> list[str]:
    """Return the names under which LightGBM knows the features: their own, or their places if one cannot be its name.

    All are replaced together, so that no internal name meets a user's. Whoever scores goes by place, never by name.
    """
    if all(_PLAIN_NAME.fullmatch(name) for name in columns):
        return list(columns)
    return [f"f{place}" for place in range(len(columns))]


Boost = Callable[[Boosting, Part, Part | None, Watch | None], Boosted]


def boost(boosting: Boosting, train: Part, validation: Part | None, watch: Watch | None = None) -> Boosted:
    """Run LightGBM in this process.

    Parameters
    ----------
    train : Part
        The rows to learn from.
    validation : Part or None
        The rows to stop by; None to train exactly `boosting.rounds` rounds.
    watch : function, optional
        Told of each round.
    """
    import lightgbm as lgb

    fitting = lgb.Dataset(
        train.features,
        train.labels,
        weight=train.weights,
        feature_name=internal_names(boosting.columns),
        categorical_feature=[boosting.columns.index(name) for name in boosting.categorical],
        free_raw_data=True,
    )
    if validation is None:
        return Boosted(lgb.train(boosting.params, fitting, num_boost_round=boosting.rounds), [], boosting.rounds)
    stopping = lgb.Dataset(validation.features, validation.labels, weight=validation.weights, reference=fitting)
    evaluations: dict[str, dict[str, list[float]]] = {}
    callbacks: list[Callable[..., Any]] = [
        lgb.early_stopping(boosting.patience, verbose=False),
        lgb.record_evaluation(evaluations),
    ]
    if watch is not None:
        callbacks.append(lambda env: watch(env.iteration + 1, env.evaluation_result_list[0][2]))
    booster = lgb.train(
        boosting.params,
        fitting,
        num_boost_round=boosting.rounds,
        valid_sets=[stopping],
        valid_names=[VALIDATION],
        callbacks=callbacks,
    )
    [history] = evaluations[VALIDATION].values()
    return Boosted(booster, history, booster.best_iteration)
