"""How much each feature moved each prediction, told by the stored model itself: exact, with no sampling of features.

For trees these are the SHAP values that the library computes over its own trees, for a linear model the terms of its
sum. What is done to the output afterwards (a link, a calibration) is left out. Of an ensemble they are the members',
each times its coefficient, where its output is such a sum; a mean of probabilities is none.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_platform.scoring.ensemble import KIND, member_file
from ml_platform.scoring.processors import threads_here
from ml_platform.scoring.scorer import DESCRIPTION, FloatArray, Read
from ml_platform.scoring.xgboost import fill_unseen

ROWS_AT_MOST, ROWS_AT_LEAST = 1000, 50
# A row visits each leaf of each tree: so many take about half a second on one core.
LEAVES_AT_MOST = 2_000_000

Terms = Callable[[FloatArray], FloatArray]
Moved = tuple[NDArray[np.intp], FloatArray]


def contributions(read: Read, matrix: FloatArray) -> Moved | None:
    """Give what each column of the encoded matrix added to the output before its link, for some of the rows.

    Parameters
    ----------
    read : function
        Gives the content of a file by its name, as in `load_scorer`.
    matrix : (n_rows, n_columns) array
        Encoded features.

    Returns
    -------
    places, contributions : (n_some,) and (n_some, n_columns) arrays, or None
        The rows, evenly chosen, the fewer the larger the model; and what moved them. Of several classes, what was added
        for the class that the row is said to be. None for a model whose output is no sum over its features.
    """
    return _moved(json.loads(read(DESCRIPTION)), read, matrix)


def member_contributions(read: Read, matrix: FloatArray) -> dict[str, Moved]:
    """Give what `contributions` gives for each member of an ensemble that counts, the one that counts most first."""
    description = json.loads(read(DESCRIPTION))
    if description["kind"] != KIND:
        return {}
    counting = counting_members(description)
    moved = {name: _moved(description["members"][name], _reading(read, name), matrix) for name in counting}
    return {name: each for name, each in moved.items() if each is not None}


def counting_members(description: Mapping[str, Any]) -> dict[str, float]:
    """Give the coefficient of each member of an ensemble that has one, the largest first."""
    counting = {name: value for name, value in description["coefficients"].items() if value != 0.0}
    return dict(sorted(counting.items(), key=lambda item: (-item[1], item[0])))


def _moved(description: Mapping[str, Any], read: Read, matrix: FloatArray) -> Moved | None:
    load = _KINDS.get(description["kind"])
    loaded = None if load is None else load(description, read)
    if loaded is None:
        return None
    terms, leaves = loaded
    wanted = min(len(matrix), ROWS_AT_MOST, max(ROWS_AT_LEAST, LEAVES_AT_MOST // max(1, leaves)))
    places = np.unique(np.linspace(0, len(matrix) - 1, wanted).round().astype(np.intp))
    return places, _of_said_class(terms(matrix[places]), matrix.shape[1])


def _of_said_class(terms: FloatArray, columns: int) -> FloatArray:
    """Take the terms of the class with the largest sum; the last term of each class is what all rows have."""
    of_class = terms.reshape(len(terms), -1, columns + 1)
    said = of_class.sum(axis=2).argmax(axis=1)
    return of_class[np.arange(len(terms)), said, :columns]


def _ensemble(description: Mapping[str, Any], read: Read) -> tuple[Terms, int] | None:
    """Add up the members' terms, where the ensemble adds up what comes before their links.

    A stack is a sum of log odds, and of logarithms of shares, which are the scores of the classes but for a term that
    all classes of a row have in common. A mean is a sum of values, but of probabilities it is one after the link.
    """
    counting, how = counting_members(description), description["how"]
    members = {name: description["members"][name] for name in counting}
    is_one = how != "stacked" and len(counting) == 1
    is_calibrated = any(each.get("calibration") is not None for each in members.values())
    if not is_one and (is_calibrated or (how != "stacked" and description["task"] != "regression")):
        return None
    loaded = {name: _KINDS[each["kind"]](each, _reading(read, name)) for name, each in members.items()}
    base = np.atleast_1d(np.asarray(description.get("intercept", 0.0), dtype=np.float64))
    every = {name: each for name, each in loaded.items() if each is not None}

    def terms(matrix: FloatArray) -> FloatArray:
        total = np.zeros((len(matrix), len(base), matrix.shape[1] + 1))
        total[:, :, -1] = base
        for name, (of_member, _) in every.items():
            total = total + counting[name] * of_member(matrix).reshape(len(matrix), -1, matrix.shape[1] + 1)
        return total

    return terms, sum(leaves for _, leaves in every.values())


def _reading(read: Read, member: str) -> Read:
    return lambda name: read(member_file(member, name))


def _lightgbm(description: Mapping[str, Any], read: Read) -> tuple[Terms, int]:
    import lightgbm as lgb

    text = read(description["file"]).decode()
    booster = lgb.Booster(model_str=text)
    leaves = sum(int(each) for each in re.findall(r"^num_leaves=(\d+)", text, re.MULTILINE))
    return lambda matrix: np.asarray(
        booster.predict(matrix, pred_contrib=True, num_threads=threads_here()), dtype=np.float64
    ), leaves


def _xgboost(description: Mapping[str, Any], read: Read) -> tuple[Terms, int]:
    import xgboost as xgb

    content, stand_ins = read(description["file"]), description.get("stand_ins", ())
    booster = xgb.Booster({"nthread": threads_here()})
    booster.load_model(bytearray(content))
    trees = json.loads(content)["learner"]["gradient_booster"]["model"]["trees"]
    leaves = sum((int(tree["tree_param"]["num_nodes"]) + 1) // 2 for tree in trees)

    def terms(matrix: FloatArray) -> FloatArray:
        told = booster.predict(xgb.DMatrix(fill_unseen(matrix, stand_ins)), pred_contribs=True, validate_features=False)
        return np.asarray(told, dtype=np.float64)

    return terms, leaves


def _linear(description: Mapping[str, Any], read: Read) -> tuple[Terms, int]:
    del read  # all of it stands in the description
    base = np.asarray(description["intercepts"], dtype=np.float64)

    def terms(matrix: FloatArray) -> FloatArray:
        columns = [_of_column(column, values) for column, values in zip(description["columns"], matrix.T, strict=True)]
        return np.stack([*columns, np.tile(base, (len(matrix), 1))], axis=2)

    return terms, len(description["columns"])


def _of_column(column: Mapping[str, Any], values: FloatArray) -> FloatArray:
    """Give what one column adds to each score: by its scaled distance from the mean, or by its category."""
    if "categories" in column:
        table = np.asarray(column["categories"], dtype=np.float64)
        return table[np.where(np.isnan(values), len(table) - 1, values).astype(np.intp)]
    moved = np.outer((values - column["mean"]) / column["scale"], column["coefficients"])
    return np.where(np.isnan(values)[:, None], np.asarray(column["missing"], dtype=np.float64), moved)


_KINDS: dict[str, Callable[[Mapping[str, Any], Read], tuple[Terms, int] | None]] = {
    KIND: _ensemble,
    "lightgbm": _lightgbm,
    "linear": _linear,
    "xgboost": _xgboost,
}
