"""What every trainer gives: the fitted model as files that a bundle holds, and what people want to know of the fit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

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
        On the validation part, every row counting once: log loss, the root of the mean squared error, or the pinball
        loss of a quantile. A calibrated model's is that of rows its calibration was not fitted on. A refit has learnt
        from that part, so its loss is that of the tuning fit.
    rounds : int or None
        Boosting rounds kept; None of a model without rounds.
    history : list of float
        Loss on the validation part after each round; with class weights rows count by these.
    params : mapping
        The parameters that the model was fitted with, as people should see them.
    notes : tuple of str
        Sentences about how it came about.
    warnings : tuple of str
        Sentences about what makes it doubtful.
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
    warnings: tuple[str, ...] = ()

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
class FitSet:
    """The three fits of one recipe; without a refit all three are the tuning fit.

    Parameters
    ----------
    tuning : Trained
        On train; rounds, calibration, threshold and ensemble weights come from it and validation.
    judged : Trained
        With those fixed, on train and validation: what metrics and gates look at, on the holdout.
    served : Trained
        With those fixed, on every row known at the as-of: what predicts.
    """

    tuning: Trained
    judged: Trained
    served: Trained

    @classmethod
    def of_one(cls, trained: Trained) -> "FitSet":
        """Return the set of a recipe that is not refitted."""
        return cls(trained, trained, trained)

    @property
    def is_refit(self) -> bool:
        """Whether the three are fits of their own."""
        return self.served is not self.tuning

    @property
    def notes(self) -> tuple[str, ...]:
        """All that is to be said of the tuning fit, and what the other two add to it."""
        return (*self.tuning.notes, *self._added("notes"))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes the tuning fit doubtful, and what the other two add to it."""
        return (*self.tuning.warnings, *self._added("warnings"))

    def _added(self, what: Literal["notes", "warnings"]) -> list[str]:
        others = {"judged": self.judged, "served": self.served} if self.is_refit else {}
        known = getattr(self.tuning, what)
        return [
            f"{name} fit: {each}" for name, fit in others.items() for each in getattr(fit, what) if each not in known
        ]


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
        """Fit on the train part; stop on the validation part, or without one after the model's `rounds`.

        Parameters
        ----------
        parts : Parts
            The rows; their task says which loss is made small.
        watch : function, optional
            Told of each round, where the kind has rounds.
        """
        ...
