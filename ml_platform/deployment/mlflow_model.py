"""The script by which MLflow loads a version: the bundle's own predictor behind the pyfunc interface, nothing pickled.

Lookups come from the bundle's snapshot, since `mlflow models serve` knows no online store.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from ml_platform.registry.bundle import open_bundle
from ml_platform.serving.frames import pandas_to_frame
from ml_platform.serving.predictor import Predictor


class BundleModel(PythonModel):
    """A bundle as a pyfunc model: raw rows in, one prediction each out, with decision or probabilities."""

    def load_context(self, context: PythonModelContext) -> None:
        """Open and verify the bundle."""
        self._predictor = Predictor.load(open_bundle(Path(context.artifacts["bundle"])))

    def predict(  # pyright: ignore[reportIncompatibleMethodOverride] - the base has no body, so it seems to give None
        self, context: PythonModelContext, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """Score raw rows; times without a zone are UTC, and a column that may be null may be absent."""
        del context, params
        frame = pandas_to_frame(model_input, self._predictor.signature)
        features = self._predictor.plan.transform(frame, self._predictor.lookups)
        predictions = self._predictor.predict(features)
        if not self._predictor.classes:
            decided = self._predictor.decisions_of(predictions)
            return pd.DataFrame({"prediction": predictions} | ({"decision": decided} if decided else {}))
        columns = zip(self._predictor.classes, predictions.T, strict=True)
        shares = {f"probability_{label}": column for label, column in columns}
        return pd.DataFrame({"prediction": self._predictor.classes_of(predictions), **shares})


set_model(BundleModel())
