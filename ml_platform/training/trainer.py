"""What every trainer gives: the fitted model as files that a bundle holds, and what people want to know of the fit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.features.encoding import Encoder
from ml_platform.scoring.classes import Class
from ml_platform.scoring.scorer import Scorer, load_scorer
from ml_platform.training.parts import Parts

FloatArray = NDArray[np.float64]
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
        Of each feature, in a unit of the model's kind (total gain of trees, spread of a linear model's scores); largest
        first.
    loss : float
        On the validation part, of what is served, every row counting once: log loss, the root of the mean squared
        error, or the pinball loss of a quantile. A calibrated model's is that of rows its calibration was not fitted
        on.
    rounds : int or None
        Boosting rounds kept; None of a model without rounds.
    history : list of float
        Loss on the validation part after each round; with class weights rows count by these.
    params : mapping
        The parameters that the model was fitted with, as people should see them.
    notes : tuple of str
        Sentences about how it came about.
    classes : tuple
        Of a multiclass model, in the order of its predictions; else empty.
    """

    files: dict[str, bytes]
    encoder: Encoder
    importance: dict[str, float]
    loss: float
    rounds: int | None = None
    history: list[float] = field(default_factory=list, repr=False)
    params: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    classes: tuple[Class, ...] = ()

    @cached_property
    def scorer(self) -> Scorer:
        """The model as it will be served."""
        return load_scorer(self.files.__getitem__)

    def predict(self, features: pl.DataFrame) -> FloatArray:
        """Give the predictions for rows that have the features' columns.

        Returns
        -------
        (n_rows,) array, or (n_rows, n_classes) of a multiclass model
        """
        return self.scorer(self.encoder.encode(features))


@dataclass(frozen=True)
class Learned:
    """What a trainer of one kind gives; `fit_model` makes it whole.

    Parameters
    ----------
    files : dict of str to bytes
        The model in its native form, without `model.json`.
    description : dict
        What `model.json` says of this kind.
    importance : (n_columns,) array
        Of each column.
    loss : float or None
        On the validation part, every row counting once; None if it was not measured.
    rounds, history, notes
        As in `Trained`.
    """

    files: dict[str, bytes]
    description: dict[str, Any]
    importance: FloatArray
    loss: float | None = None
    rounds: int | None = None
    history: list[float] = field(default_factory=list, repr=False)
    notes: tuple[str, ...] = ()


class Trainer(Protocol):
    """Fits one kind of model; `model` is the part of the spec for this kind."""

    def __call__(self, parts: Parts, model: Any, watch: Watch | None = None) -> Learned:
        """Fit on the train part, stop on the validation part.

        Parameters
        ----------
        parts : Parts
            The rows; their task says which loss is made small.
        watch : function, optional
            Told of each round, where the kind has rounds.
        """
        ...
