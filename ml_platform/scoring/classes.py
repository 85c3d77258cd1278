"""The classes of a multiclass model: labels as the numbers of their classes, and predictions over other classes."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Class = str | int
FloatArray = NDArray[np.float64]


def ordered(labels: Iterable[Class]) -> tuple[Class, ...]:
    """Give the distinct labels in their order: numbers by size, then words."""
    return tuple(sorted(set(labels), key=lambda label: (isinstance(label, str), label)))


def class_numbers(labels: Iterable[Class | None], classes: Sequence[Class]) -> FloatArray:
    """Give the place of each label among the classes; NaN where it is none of them."""
    places = {label: float(place) for place, label in enumerate(classes)}
    return np.array([places.get(label, np.nan) if label is not None else np.nan for label in labels], dtype=np.float64)


def spread(predictions: FloatArray, classes: Sequence[Class], wanted: Sequence[Class]) -> FloatArray:
    """Give probabilities over other classes, in their order; one that the model does not know gets 0.

    Parameters
    ----------
    predictions : (n_rows, n_classes) array
        Of a model with `classes`.
    wanted : sequence
        Must hold each of `classes`.

    Returns
    -------
    (n_rows, n_wanted) array
    """
    if tuple(classes) == tuple(wanted):
        return predictions
    spread_out = np.zeros((len(predictions), len(wanted)))
    spread_out[:, [list(wanted).index(label) for label in classes]] = predictions
    return spread_out
