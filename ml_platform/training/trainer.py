"""What every trainer gives: the fitted model as files that a bundle holds, and what people want to know of the fit."""

from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import LightGBMModel
from ml_platform.features.encoding import Encoder


@dataclass(frozen=True)
class Trained:
    """A fitted model.

    Parameters
    ----------
    files : dict of str to bytes
        The model in its native form, by the bundle's file names.
    encoder : Encoder
        How the features were encoded.
    rounds : int
        Boosting rounds kept.
    importance : dict of str to float
        Total gain of each feature, in the loss's unit; largest first.
    history : list of float
        Loss on the validation rows after each round.
    """

    files: dict[str, bytes]
    encoder: Encoder
    rounds: int
    importance: dict[str, float]
    history: list[float] = field(repr=False)


class Trainer(Protocol):
    """Fits one kind of model."""

    def __call__(self, rows: pl.DataFrame, columns: list[str], model: LightGBMModel, task: Task) -> Trained:
        """Fit on the train part, stop on the validation part; the holdout part is never looked at.

        Parameters
        ----------
        rows : (n_rows, ...)
            A training set: the columns, `label` and `part`.
        columns : list of str
            The features.
        task : Task
            What the label is, and so which loss is made small.
        """
        ...
