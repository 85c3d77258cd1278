"""A bundle that a real MLflow takes: with example rows and their predictions."""

import json
from pathlib import Path

from ml_platform.registry.bundle import Bundle
from ml_platform.serving.predictor import Predictor
from ml_platform_tests.fakes.bundles import PLAN, make_bundle, make_rows, to_json_rows


def example_of(draft: Path) -> bytes:
    """Return example rows with what the made-up model predicts of them, as a bundle keeps them."""
    predictor, rows = Predictor.load(make_bundle(draft)), make_rows(5, 9)
    predictions = predictor.predict(PLAN.transform(rows, predictor.lookups)).tolist()
    return json.dumps({"rows": to_json_rows(rows), "predictions": predictions}).encode()


def bundle_with_example(root: Path) -> Bundle:
    """Write such a bundle."""
    return make_bundle(root, 0, example__json=example_of(root.parent / "draft"))
