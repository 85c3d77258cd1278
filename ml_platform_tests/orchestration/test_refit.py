"""A pipeline with `refit: all`: three fits in one bundle; gates look at one, traffic goes to another."""

import json
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml_platform.contracts.evaluations import Evaluation
from ml_platform.data.splits.cut import known_rows, parted
from ml_platform.orchestration.reproducing import reproduce
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform.registry import bundle as files
from ml_platform.registry.bundle import Bundle, open_bundle, write_bundle
from ml_platform.serving.predictor import Predictor
from ml_platform.training.fitting import fit_model, refit_model
from ml_platform.training.trainer import Trained
from ml_platform.validation.report.facts import NO_NUMBER_YET
from ml_platform_tests.pipelines.ensembles import tiny_ensemble
from ml_platform_tests.pipelines.fixtures import as_pipeline
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import AS_OF, FOLDER, LATER, World, error_of, tiny

pytestmark = [pytest.mark.slow, *DAGSTER]

MARGIN = 0.05
FITS: tuple[files.FitName, ...] = ("tuning", "judged", "served")


def _refitted(pipeline: Pipeline, **changed: Any) -> Pipeline:
    """Return the pipeline with a refit, resolved from its attributes as an author would write them."""
    attributes = pipeline.spec.model_dump(mode="json", by_alias=True) | {"refit": "all"} | changed
    return resolve(attributes, FOLDER / "defs.yaml", "ml_platform_tests.pipelines.tiny")


@pytest.fixture
def refitted(loaded: World) -> World:
    """Give a world whose pipeline refits, with nothing trained yet."""
    return as_pipeline(loaded, _refitted(tiny()))


def _bundle(world: World, version: int) -> Bundle:
    return open_bundle(world.models.bundle(world.models.version("tiny", version)))


def _description(world: World, version: int) -> str:
    """Return what people see of a version in the registry."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=world.home.mlflow_url).get_model_version("tiny", str(version)).description or ""


def _evaluation(world: World) -> Evaluation:
    return Evaluation.model_validate(world.decisions("evaluated")[-1].payload)


def test_one_bundle_holds_three_fits_each_of_its_own_rows(refitted: World) -> None:
    """Each is what the same recipe, fitted by hand on the rows it may learn from, gives to the last bit."""
    result = refitted.run("retrain", AS_OF)
    assert result.success, error_of(result)
    bundle, spec = _bundle(refitted, 1), tiny().spec
    table = refitted.lake.read("tiny/training_set", [AS_OF]).sort("departs_at", "ride_id")
    rows, columns, [model] = parted(table), spec.features.columns, spec.models.values()
    tuning = fit_model(rows, columns, model, "binary", event_time="departs_at")
    by_hand: dict[files.FitName, Trained] = {
        "tuning": tuning,
        "judged": refit_model(rows.filter(pl.col("part") != "holdout"), columns, model, "binary", tuning),
        "served": refit_model(known_rows(table), columns, model, "binary", tuning),
    }
    for name, trained in by_hand.items():
        predictor = Predictor.load(bundle, name)
        np.testing.assert_array_equal(predictor.predict(rows), trained.predict(rows), err_msg=name)
    assert len({json.dumps(each.predict(rows).tolist()) for each in by_hand.values()}) == 3
    assert bundle.manifest.learnt_until == tiny().calendar.as_of(AS_OF)
    assert bundle.manifest.learnt_rows == len(known_rows(table)) > len(rows) - 10
    assert bundle.manifest.newest_learnt_at == known_rows(table)["departs_at"].max()


def test_gates_look_at_the_judged_fit_and_the_server_has_the_served_one(refitted: World) -> None:
    assert refitted.run("retrain", AS_OF).success
    bundle, evaluation = _bundle(refitted, 1), _evaluation(refitted)
    rows = parted(refitted.lake.read("tiny/training_set", [AS_OF])).filter(pl.col("part") == "holdout")
    labels = rows["label"].cast(pl.Float64).to_numpy()

    def loss(fit: files.FitName) -> float:
        predicted = np.clip(Predictor.load(bundle, fit).predict(rows), 1e-15, 1 - 1e-15)
        return float(-(labels * np.log(predicted) + (1 - labels) * np.log1p(-predicted)).mean())

    assert evaluation.metrics["candidate"]["log_loss"] == pytest.approx(loss("judged"))
    assert evaluation.served_fit is not None
    assert evaluation.served_fit.served == pytest.approx(loss("served"))
    assert loss("served") < loss("judged")
    [verdict] = [each for each in evaluation.verdicts if each.gate == "served_fit_not_worse_than_judged"]
    assert (verdict.outcome, verdict.bound) == ("pass", MARGIN)
    shown = json.loads(bundle.read_bytes(files.EXAMPLE))["predictions"]
    table = refitted.lake.read("tiny/training_set", [AS_OF]).sort("departs_at", "ride_id")
    assert shown == Predictor.load(bundle).predict(parted(table).tail(len(shown))).tolist()


def test_a_served_fit_that_went_wrong_is_not_promoted(refitted: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has learnt from rows with turned labels; the judged fit is fine, and every gate on it passes."""
    from ml_platform.orchestration import training_rows

    turned = known_rows
    monkeypatch.setattr(
        training_rows, "known_rows", lambda rows: turned(rows).with_columns(label=~pl.col("label").cast(pl.Boolean))
    )
    result = refitted.run("retrain", AS_OF)
    assert not result.success
    outcomes = {each.gate: each.outcome for each in _evaluation(refitted).verdicts}
    assert outcomes.pop("served_fit_not_worse_than_judged") == "fail"
    assert set(outcomes.values()) == {"pass"}
    assert refitted.promoted() == []


def test_a_champion_is_compared_on_rows_it_has_not_learnt_from(refitted: World) -> None:
    """As of five days later the whole holdout is new to it: both of its fits are compared, and its card says so."""
    assert refitted.run("retrain", AS_OF).success
    assert NO_NUMBER_YET in _description(refitted, 1)
    result = refitted.run("retrain", LATER)
    assert result.success, error_of(result)
    evaluation = _evaluation(refitted)
    fits = evaluation.champion_fits
    assert fits is not None
    holdout = parted(refitted.lake.read("tiny/training_set", [LATER])).filter(pl.col("part") == "holdout")
    assert (fits.version, fits.rows, fits.metric) == (1, len(holdout), "log_loss")
    assert fits.served == pytest.approx(evaluation.metrics["champion"]["log_loss"])
    assert fits.judged != fits.served
    after = _description(refitted, 1)
    assert NO_NUMBER_YET not in after
    assert f"On {fits.rows:,} rows that came after it, the fit that serves has a log_loss" in after


def test_a_champion_that_has_learnt_the_holdout_makes_the_gate_inconclusive(refitted: World) -> None:
    """Asked by hand within the cool-down: no row of the holdout is new to the champion."""
    assert refitted.run("retrain", LATER).success
    result = refitted.run("retrain", AS_OF)
    assert result.success  # the gate is not applicable, and what serves stays as it is
    outcomes = {each.gate: each for each in _evaluation(refitted).verdicts}
    verdict = next(each for name, each in outcomes.items() if "champion" in name)
    assert (verdict.outcome, verdict.is_applicable) == ("inconclusive", False)
    assert refitted.promoted() == [1]
    assert "did not train on" in verdict.sentence


def test_reproduce_makes_all_three_fits_again(refitted: World) -> None:
    assert refitted.run("retrain", AS_OF).success
    version = refitted.models.version("tiny", 1)
    certificate = reproduce(
        FOLDER / "defs.yaml", "ml_platform_tests.pipelines.tiny", version, refitted.lake, refitted.models
    )
    assert certificate.is_equal, certificate.broken


def test_an_ensemble_is_refitted_with_the_weights_that_validation_chose(loaded: World) -> None:
    world = as_pipeline(loaded, _refitted(tiny_ensemble("weighted")))
    result = world.run("retrain", AS_OF)
    assert result.success, error_of(result)
    bundle = _bundle(world, 1)
    described = {fit: json.loads(bundle.reader(fit)(files.MODEL)) for fit in FITS}
    coefficients = [each["coefficients"] for each in described.values()]
    assert coefficients[0] == coefficients[1] == coefficients[2]
    rows = parted(world.lake.read("tiny/training_set", [AS_OF]))
    said = [Predictor.load(bundle, fit).predict(rows) for fit in FITS]
    assert all(np.abs(first - second).max() > 0 for first, second in ((said[0], said[1]), (said[1], said[2])))


def test_a_bundle_without_a_refit_has_one_fit_for_all(world: World) -> None:
    """As every bundle that was registered before there was one."""
    bundle = _bundle(world, 1)
    assert not bundle.is_refit
    rows = parted(world.lake.read("tiny/training_set", [AS_OF]))
    first, second = (Predictor.load(bundle, fit).predict(rows) for fit in ("judged", "served"))
    np.testing.assert_array_equal(first, second)
    until = bundle.manifest.learnt_until
    assert until == tiny().calendar.back(AS_OF, timedelta(days=5))
    old = {name: bundle.read_bytes(name) for name in bundle.manifest.files}
    fields = bundle.manifest.model_dump(exclude={"files", "learnt_until", "newest_learnt_at", "learnt_rows"})
    earlier = write_bundle(bundle.root.parent / "earlier", old, **fields)
    assert b"learnt" not in (earlier.root / files.MANIFEST).read_bytes()
    assert open_bundle(earlier.root).manifest.learnt_until is None


def test_a_cool_down_shorter_than_the_holdout_is_refused_at_load() -> None:
    from ml_platform.contracts.errors import SpecError

    with pytest.raises(SpecError, match=r"cool_down of at least split.holdout \(5d\) with refit: all, got 4d"):
        _refitted(tiny(), retrain={"when": ["drift"], "cool_down": "4d"})
    assert _refitted(tiny(), retrain={"when": []}).spec.retraining.cool_down == timedelta(days=7)
    assert _refitted(
        tiny(), retrain={}, split=tiny().spec.split.model_dump(mode="json") | {"holdout": "9d"}
    ).spec.retraining.cool_down == timedelta(days=9)
