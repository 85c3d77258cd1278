"""The predictor: a bundle's model as a function from features to predictions.

The server and the offline evaluation use this very class. It holds no state that a prediction changes, so any number of
threads may share one.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.contracts.errors import BundleDamaged, PlatformError, RegistryError
from ml_platform.contracts.records import SignatureField
from ml_platform.features.encoding import Encoder
from ml_platform.features.plan import FeaturePlan
from ml_platform.registry import bundle as files
from ml_platform.registry.bundle import Bundle, Manifest

BATCH_AT_MOST = 1000
# A small batch is done before a second thread has started, and a server has other requests for its cores.
_ROWS_FOR_ONE_THREAD = 10_000

Scorer = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def _load_lightgbm(bundle: Bundle) -> Scorer:
    booster = lgb.Booster(model_str=bundle.read_bytes(files.MODEL).decode())

    def score(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        threads = 1 if len(matrix) <= _ROWS_FOR_ONE_THREAD else 0
        return np.asarray(booster.predict(matrix, num_threads=threads), dtype=np.float64)

    return score


_KINDS: dict[str, Callable[[Bundle], Scorer]] = {"lightgbm": _load_lightgbm}


@dataclass(frozen=True)
class Predictor:
    """One model version, ready to predict.

    Parameters
    ----------
    manifest : Manifest
        Of the bundle it came from.
    plan : FeaturePlan
        From raw rows to features.
    encoder : Encoder
        From features to the model's matrix.
    signature : tuple of SignatureField
        The fields of a raw row.
    lookups : dict of str to pl.DataFrame
        The bundle's snapshot, as of its as-of.
    batch_at_most : int
        Rows that one request may have.
    scorer : callable
        From the matrix to the probability of the positive class, or to the value of a regression.
    """

    manifest: Manifest
    plan: FeaturePlan
    encoder: Encoder
    signature: tuple[SignatureField, ...]
    lookups: dict[str, pl.DataFrame]
    batch_at_most: int
    scorer: Scorer

    @classmethod
    def load(cls, bundle: Bundle) -> "Predictor":
        """Load an opened bundle.

        Raises
        ------
        BundleDamaged
            If a file is missing, or is not what its name says.
        RegistryError
            If the kind of model is none that this version of the platform can serve.
        """
        load_scorer = _KINDS.get(bundle.manifest.kind)
        if load_scorer is None:
            raise RegistryError.because(
                f"bundle {bundle.root}",
                got=f"model kind {bundle.manifest.kind}",
                expected=f"one of {', '.join(_KINDS)}",
                hint="serve it with the version of ml_platform that wrote it",
            )
        try:
            return _read(bundle, load_scorer)
        except PlatformError:
            raise
        except Exception as error:
            raise BundleDamaged.because(
                f"bundle {bundle.root}",
                got=f"{type(error).__name__}: {error}",
                expected="content that can be loaded",
                hint="its hashes are right, so it was written wrong: train again",
            ) from error

    def predict(self, features: pl.DataFrame) -> NDArray[np.float64]:
        """Give the prediction for rows that `plan.transform` made.

        Returns
        -------
        (n_rows,) array
            The probability of the positive class, 0 to 1, or the value of a regression. A row's prediction does not
            depend on the rows beside it.
        """
        return self.score(self.encoder.encode(features))

    def score(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the prediction for rows that `encoder.encode` made."""
        return self.scorer(matrix) if len(matrix) else np.empty(0)


def _read(bundle: Bundle, load_scorer: Callable[[Bundle], Scorer]) -> Predictor:
    has_code = files.FEATURE_CODE in bundle.manifest.files
    code = bundle.read_bytes(files.FEATURE_CODE).decode() if has_code else None
    limits: dict[str, Any] = bundle.read_json(files.SERVING) if files.SERVING in bundle.manifest.files else {}
    return Predictor(
        manifest=bundle.manifest,
        plan=FeaturePlan.from_json(bundle.read_json(files.FEATURES), code),
        encoder=Encoder.from_json(bundle.read_json(files.ENCODER)),
        signature=tuple(SignatureField.model_validate(field) for field in bundle.read_json(files.SIGNATURE)),
        lookups={name: pl.read_ipc(io.BytesIO(bundle.read_bytes(files.lookup_file(name)))) for name in bundle.lookups},
        batch_at_most=msgspec.convert(limits.get("batch_at_most", BATCH_AT_MOST), int),
        scorer=load_scorer(bundle),
    )
