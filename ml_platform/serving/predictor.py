"""The predictor: a bundle's model as a function from features to predictions.

The server and the offline evaluation use this very class. It holds no state that a prediction changes, so any number of
threads may share one.
"""

import io
import json
import math
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.contracts.errors import BundleDamaged, PlatformError
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.records import SignatureField
from ml_platform.features.encoding import Encoder
from ml_platform.features.plan import FeaturePlan
from ml_platform.registry import bundle as files
from ml_platform.registry.bundle import Bundle, FitName, Manifest
from ml_platform.scoring.classes import Class
from ml_platform.scoring.scorer import Scorer, scorer_of

BATCH_AT_MOST = 1000


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
        From the matrix to the probability of the positive class, the probabilities of several classes, or the value of
        a regression.
    task : Task
        Which of these.
    classes : tuple
        Of a multiclass model, in the order of its probabilities; else empty.
    threshold : float or None
        From which probability on a binary model says yes; None where its spec decides nothing.
    """

    manifest: Manifest
    plan: FeaturePlan
    encoder: Encoder
    signature: tuple[SignatureField, ...]
    lookups: dict[str, pl.DataFrame]
    batch_at_most: int
    scorer: Scorer
    task: Task
    classes: tuple[Class, ...] = ()
    threshold: float | None = None

    @classmethod
    def load(cls, bundle: Bundle, fit: FitName = "served") -> "Predictor":
        """Load an opened bundle.

        Parameters
        ----------
        fit : {"served", "judged", "tuning"}
            Which of the fits in it; a bundle that was not refitted has one for all.

        Raises
        ------
        BundleDamaged
            If a file is missing, or is not what its name says.
        RegistryError
            If the kind of model is none that this version of the platform can serve.
        """
        try:
            return _read(bundle, fit)
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
        (n_rows,) array, or (n_rows, n_classes) of a multiclass model
            The probability of the positive class or of each class, 0 to 1, or the value of a regression. A row's
            prediction does not depend on the rows beside it.
        """
        return self.score(self.encoder.encode(features))

    def score(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the prediction for rows that `encoder.encode` made."""
        if not len(matrix):
            return np.empty((0, len(self.classes)) if self.classes else 0)
        return self.scorer(matrix)

    def classes_of(self, probabilities: NDArray[np.float64]) -> list[Class]:
        """Give the likeliest class of each row of a multiclass model's probabilities; the first of equal ones."""
        return [self.classes[place] for place in probabilities.argmax(axis=1).tolist()]

    def decisions_of(self, probabilities: NDArray[np.float64]) -> list[bool]:
        """Say yes or no to each row of a binary model's probabilities; nothing where it has no threshold."""
        return [] if self.threshold is None else (probabilities >= self.threshold).tolist()


def _read(bundle: Bundle, fit: FitName) -> Predictor:
    read = bundle.reader(fit)
    has_code = files.FEATURE_CODE in bundle.manifest.files
    code = bundle.read_bytes(files.FEATURE_CODE).decode() if has_code else None
    described: dict[str, Any] = json.loads(read(files.MODEL))
    limits: dict[str, Any] = bundle.read_json(files.SERVING) if files.SERVING in bundle.manifest.files else {}
    return Predictor(
        manifest=bundle.manifest,
        plan=FeaturePlan.from_json(bundle.read_json(files.FEATURES), code),
        encoder=Encoder.from_json(json.loads(read(files.ENCODER))),
        signature=tuple(SignatureField.model_validate(field) for field in bundle.read_json(files.SIGNATURE)),
        lookups={name: pl.read_ipc(io.BytesIO(bundle.read_bytes(files.lookup_file(name)))) for name in bundle.lookups},
        batch_at_most=msgspec.convert(limits.get("batch_at_most", BATCH_AT_MOST), int),
        scorer=scorer_of(described, read),
        task=msgspec.convert(described["task"], Task),
        classes=msgspec.convert(described.get("classes", []), tuple[Class, ...]),
        threshold=_threshold(bundle, described["task"]),
    )


def _threshold(bundle: Bundle, task: str) -> float | None:
    if files.DECISION not in bundle.manifest.files:
        return None
    threshold = msgspec.convert(bundle.read_json(files.DECISION)["threshold"], float)
    if task != "binary" or not math.isfinite(threshold):  # NaN would say no to everything
        raise ValueError(f"threshold {threshold} of a {task} model")
    return threshold
