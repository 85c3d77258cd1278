"""Logistic and linear regression by scikit-learn, exported as plain numbers: nothing is pickled.

Numbers are scaled by train's mean and spread, a missing one stands at the mean and is told by a column of its own;
each category has a column, and so has a value that is missing or unseen.
"""

import threading
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import LinearModel
from ml_platform.training.parts import Parts, refuse_infinite
from ml_platform.training.threads import threads_of_a_fit
from ml_platform.training.trainer import Learned, Watch

FloatArray = NDArray[np.float64]
PENALTY, ITERATIONS, MORE_TIMES = 1.0, 1000, 10
LINKS: dict[Task, str] = {"binary": "logit", "multiclass": "softmax", "regression": "identity"}
# Python keeps one list of warning filters for all threads.
_WARNINGS = threading.Lock()


@dataclass(frozen=True)
class Column:
    """How one column of the encoded matrix becomes columns of the design.

    Parameters
    ----------
    mean, scale : float
        Of a number.
    is_missing_told : bool
        Whether a missing number has a column of its own.
    categories : int or None
        How many there are, beside the one for missing or unseen; None of a number.
    """

    mean: float = 0.0
    scale: float = 1.0
    is_missing_told: bool = False
    categories: int | None = None

    @property
    def width(self) -> int:
        """Number of columns in the design."""
        return 1 + self.is_missing_told if self.categories is None else self.categories + 1


def fit_linear(parts: Parts, model: LinearModel, watch: Watch | None = None) -> Learned:
    """Fit a linear model; see `Trainer`. There are no rounds to watch, and nothing is stopped early.

    Raises
    ------
    ContractError
        If a feature is infinite.
    """
    del watch
    refuse_infinite(parts, model.kind)
    columns = columns_of(parts)
    design = design_of(parts.train.features, columns)
    estimator, notes = _fit(design, parts, model)
    coefficients, intercepts = _one_row_each(estimator, len(parts.classes))
    ends = np.cumsum([column.width for column in columns])[:-1]
    spread = np.abs(coefficients).mean(axis=0) * np.sqrt(_variances(design))
    blocks = np.split(coefficients, ends, axis=1)
    return Learned(
        files={},
        description={
            "kind": "linear",
            "link": LINKS[parts.task],
            "intercepts": intercepts.tolist(),
            "columns": [_told(column, block) for column, block in zip(columns, blocks, strict=True)],
        },
        importance=np.array([float(each.sum()) for each in np.split(spread, ends)]),
        notes=notes,
    )


def columns_of(parts: Parts) -> list[Column]:
    """Say how each column of the matrix is taken, as train tells."""
    words = parts.encoder.vocabularies
    return [
        Column(categories=len(words[name])) if name in words else _number(parts.train.features[:, place])
        for place, name in enumerate(parts.encoder.columns)
    ]


def design_of(matrix: FloatArray, columns: list[Column]) -> Any:
    """Give the sparse design of an encoded matrix, (n_rows, sum of widths)."""
    from scipy import sparse

    blocks = []
    for place, column in enumerate(columns):
        values = matrix[:, place]
        is_missing = np.isnan(values)
        if column.categories is not None:
            codes = np.where(is_missing, column.categories, values).astype(np.int32)  # wider ones scikit-learn refuses
            rows = np.arange(len(values), dtype=np.int32)
            blocks.append(sparse.csr_matrix((np.ones(len(values)), (rows, codes)), shape=(len(values), column.width)))
            continue
        scaled = np.where(is_missing, 0.0, (values - column.mean) / column.scale)
        told = [scaled, is_missing.astype(np.float64)] if column.is_missing_told else [scaled]
        blocks.append(sparse.csr_matrix(np.column_stack(told)))
    return sparse.hstack(blocks, format="csr")


def _number(values: FloatArray) -> Column:
    known = values[~np.isnan(values)]
    if not len(known):
        return Column()
    spread = float(known.std())
    return Column(float(known.mean()), spread if spread > 0 else 1.0, is_missing_told=len(known) < len(values))


def _fit(design: Any, parts: Parts, model: LinearModel) -> tuple[Any, tuple[str, ...]]:
    """Fit, and once more with more iterations if that is not enough."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import Ridge
    from threadpoolctl import threadpool_limits

    asked = model.params.get("iterations", ITERATIONS)
    for iterations in (asked, MORE_TIMES * asked):
        estimator = _estimator(parts, model, iterations, design.shape[0])
        with _WARNINGS, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            with threadpool_limits(threads_of_a_fit()):
                estimator.fit(design, parts.train.labels, sample_weight=parts.train.weights)
        used = np.max(estimator.n_iter_) if isinstance(estimator, Ridge) else 0  # it does not warn
        if used < iterations and not any(issubclass(each.category, ConvergenceWarning) for each in caught):
            return estimator, ()
    return estimator, (
        f"The fit has not settled after {MORE_TIMES * asked} iterations: raise params.penalty or params.iterations.",
    )


def _one_row_each(estimator: Any, classes: int) -> tuple[FloatArray, FloatArray]:
    """Give a row of coefficients and an intercept for each score; of two classes scikit-learn scores the second."""
    coefficients = np.atleast_2d(estimator.coef_).astype(np.float64)
    intercepts = np.atleast_1d(estimator.intercept_).astype(np.float64)
    if len(coefficients) == classes - 1 == 1:
        return np.vstack([np.zeros_like(coefficients), coefficients]), np.concatenate([[0.0], intercepts])
    return coefficients, intercepts


def _estimator(parts: Parts, model: LinearModel, iterations: int, rows: int) -> Any:
    """Give scikit-learn's estimator; the penalty weighs against the sum of the rows' losses, whatever the kind."""
    from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression, Ridge

    penalty, l1_share = model.params.get("penalty", PENALTY), model.params.get("l1_share", 0.0)
    if parts.task != "regression":
        return LogisticRegression(
            C=1 / penalty if penalty else np.inf,
            l1_ratio=l1_share,
            solver="saga" if l1_share and penalty else "lbfgs",
            max_iter=iterations,
            random_state=model.seed,
        )
    if not penalty:
        return LinearRegression()
    if l1_share:
        return ElasticNet(alpha=penalty / rows, l1_ratio=l1_share, max_iter=iterations, random_state=model.seed)
    return Ridge(alpha=penalty, max_iter=iterations, tol=1e-8, solver="lsqr")


def _variances(design: Any) -> FloatArray:
    mean = np.asarray(design.mean(axis=0)).ravel()
    return np.maximum(np.asarray(design.multiply(design).mean(axis=0)).ravel() - mean**2, 0.0)


def _told(column: Column, block: FloatArray) -> dict[str, Any]:
    """Describe a column as `ml_platform.scoring.linear` reads it."""
    if column.categories is not None:
        return {"categories": block.T.tolist()}
    missing = block[:, 1] if column.is_missing_told else np.zeros(len(block))
    return {
        "mean": column.mean,
        "scale": column.scale,
        "coefficients": block[:, 0].tolist(),
        "missing": missing.tolist(),
    }
