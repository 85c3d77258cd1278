"""From the files of a fit to a function from the encoded matrix to predictions.

`model.json` describes a model: its `kind` with what the kind needs, the `task`, the `classes` of several, and the
`calibration` of its output. Put here what both a server and a fit need; nothing here knows of bundles, frames or
training.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_platform.contracts.errors import RegistryError

FloatArray = NDArray[np.float64]
# (n_rows, n_columns) -> (n_rows,): probability of the positive class or value; (n_rows, n_classes) of several classes.
Scorer = Callable[[FloatArray], FloatArray]
Read = Callable[[str], bytes]

DESCRIPTION = "model.json"


def load_scorer(read: Read) -> Scorer:
    """Load a model.

    Parameters
    ----------
    read : function
        Gives the content of a file by its name, as it stood in `Trained.files`.

    Raises
    ------
    RegistryError
        If the kind of model is none that this version of the platform can score.
    """
    return scorer_of(json.loads(read(DESCRIPTION)), read)


def scorer_of(description: Mapping[str, Any], read: Read) -> Scorer:
    """Load the model of a description, with what is done to its output."""
    kind = description["kind"]
    load = _KINDS.get(kind)
    if load is None:
        raise RegistryError.because(
            "model", got=f"kind {kind}", expected=f"one of {', '.join(_KINDS)}",
            hint="serve it with the version of ml_platform that wrote it",
        )  # fmt: skip
    scorer, calibration = load(description, read), description.get("calibration")
    return scorer if calibration is None else _calibrated(scorer, calibration)


def _calibrated(scorer: Scorer, calibration: Mapping[str, Any]) -> Scorer:
    from ml_platform.scoring.calibration import calibrate

    calibrate(np.empty(0), calibration)  # what cannot be applied fails here, not in a request
    return lambda matrix: calibrate(scorer(matrix), calibration)


def _load_lightgbm(description: Mapping[str, Any], read: Read) -> Scorer:
    from ml_platform.scoring.lightgbm import load_lightgbm

    return load_lightgbm(read(description["file"]).decode())


def _load_linear(description: Mapping[str, Any], read: Read) -> Scorer:
    from ml_platform.scoring.linear import load_linear

    del read  # all of it stands in the description
    return load_linear(description)


def _load_xgboost(description: Mapping[str, Any], read: Read) -> Scorer:
    from ml_platform.scoring.xgboost import load_xgboost

    return load_xgboost(read(description["file"]), description.get("stand_ins", ()))


def _load_ensemble(description: Mapping[str, Any], read: Read) -> Scorer:
    from ml_platform.scoring.ensemble import load_ensemble

    return load_ensemble(description, read)


_KINDS: dict[str, Callable[[Mapping[str, Any], Read], Scorer]] = {
    "lightgbm": _load_lightgbm,
    "linear": _load_linear,
    "xgboost": _load_xgboost,
    "ensemble": _load_ensemble,
}
