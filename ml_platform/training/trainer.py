"""What every trainer gives: the fitted model as files that a bundle holds, and what people want to know of the fit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.contracts.metrics import Task
from ml_platform.features.encoding import Encoder
from ml_platform.scoring.scorer import Scorer, load_scorer

# Called after each round with its number, from 1, and the loss on the validation part; may raise to end the fit.
Watch = Callable[[int, float], None]


@dataclass(frozen=True)
class Trained:
    """A fitted model.

    Parameters
    ----------
    files : dict of str to bytes
        The model in its native form by the bundle's file names, `model.json` among them.
    encoder : Encoder
        How the features were encoded.
    importance : dict of str to float
        Of each feature, in a unit of the model's kind (total gain of trees); largest first.
    loss : float
        On the validation part: log loss, or the root of the mean squared error.
    rounds : int or None
        Boosting rounds kept; None of a model without rounds.
    history : list of float
        Loss on the validation part after each round.
    params : mapping
        The parameters that the model was fitted with, as people should see them.
    notes : tuple of str
        Sentences about how it came about.
    """

    files: dict[str, bytes]
    encoder: Encoder
    importance: dict[str, float]
    loss: float
    rounds: int | None = None
    history: list[float] = field(default_factory=list, repr=False)
    params: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @cached_property
    def scorer(self) -> Scorer:
        """The model as it will be served."""
        return load_scorer(self.files.__getitem__)

    def predict(self, features: pl.DataFrame) -> NDArray[np.float64]:
        """Give the predictions for rows that have the features' columns."""
        return self.scorer(self.encoder.encode(features))


class Trainer(Protocol):
    """Fits one kind of model; `model` is the part of the spec for this kind."""

    def __call__(
        self, rows: pl.DataFrame, columns: list[str], model: Any, task: Task, watch: Watch | None = None
    ) -> Trained:
        """Fit on the train part, stop on the validation part; the holdout part is never looked at.

        Parameters
        ----------
        rows : (n_rows, ...)
            A training set: the columns, `label` and `part`.
        columns : list of str
            The features.
        task : Task
            What the label is, and so which loss is made small.
        watch : function, optional
            Told of each round, where the kind has rounds.
        """
        ...
