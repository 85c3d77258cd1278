"""A spec as flat paths (`models.gbm.params.num_leaves`), so that two of them can be told apart by name."""

from collections.abc import Iterator
from typing import Any

from ml_platform.contracts.spec import Fit, PipelineSpec
from ml_platform.orchestration.code_versions import AROUND_A_MODEL, model_spec


def specs_by_path(fit: Fit, spec: PipelineSpec) -> tuple[dict[str, str], dict[str, str]]:
    """Give the spec of the fit, with the parameters that were fitted, and the spec as it is now, each by path.

    What a search looks for is no parameter of the author's, so it is left out of both.
    """
    then, now = dict(fit.spec), spec.model_dump(mode="json", by_alias=True)
    if AROUND_A_MODEL[0] not in then:  # a bundle of before kept the whole spec
        now = model_spec(spec)
    fitted = {name: model.model_dump(mode="json") for name, model in fit.models.items()}
    for each in (then, now):
        each["models"] = {name: dict(model) for name, model in each["models"].items()}
    for name, model in then["models"].items():
        search = model.get("search")
        if name not in fitted:
            continue
        model |= fitted[name] | {"search": search}
        for each in (model, now["models"].get(name, {})):
            searched = (search or {}).get("space", {})
            each["params"] = {key: value for key, value in each.get("params", {}).items() if key not in searched}
    return dict(_flat(then)), dict(_flat(now))


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inside is None:
        yield path, str(value)
        return
    for name, each in inside:
        yield from _flat(each, f"{path}.{name}" if path else str(name))
