"""Two specs told apart by path: what was fitted against what is declared now."""

from typing import Any

from ml_platform.contracts.spec import Fit, PipelineSpec
from ml_platform.orchestration.spec_paths import specs_by_path
from ml_platform_tests.pipelines.world import tiny

SEARCH = {"trials": 3, "space": {"num_leaves": {"choices": [7, 15]}}}


def _spec(**gbm: Any) -> PipelineSpec:
    written = tiny().spec.model_dump(mode="json", by_alias=True)
    written["models"]["gbm"] |= gbm
    return PipelineSpec.model_validate(written)


def _fit(spec: PipelineSpec, **fitted: Any) -> Fit:
    models = {name: model.model_copy(update={"search": None, **fitted}) for name, model in spec.models.items()}
    return Fit(models=models, ensemble=None, spec=spec.model_dump(mode="json", by_alias=True))


def _differences(fit: Fit, now: PipelineSpec) -> dict[str, tuple[str | None, str | None]]:
    then, after = specs_by_path(fit, now)
    return {path: (then.get(path), after.get(path)) for path in {**then, **after} if then.get(path) != after.get(path)}


def test_an_unchanged_spec_has_no_differences() -> None:
    assert _differences(_fit(_spec()), _spec()) == {}


def test_a_changed_option_is_named_by_its_path() -> None:
    assert _differences(_fit(_spec()), _spec(patience=20)) == {"models.gbm.patience": ("10", "20")}


def test_parameters_that_a_search_found_are_no_difference_and_others_are() -> None:
    spec = _spec(search=SEARCH)
    found = {**spec.models["gbm"].params, "num_leaves": 15}

    assert _differences(_fit(spec, params=found), spec) == {}
    assert _differences(_fit(spec, params={**found, "min_data_in_leaf": 5}), spec) == {
        "models.gbm.params.min_data_in_leaf": ("5", "20")
    }


def test_a_search_that_was_taken_out_is_a_difference() -> None:
    found = _differences(_fit(_spec(search=SEARCH)), _spec())

    assert found["models.gbm.search.trials"] == ("3", None)
