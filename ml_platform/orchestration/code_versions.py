"""Which spec and which code a result came from.

An asset's code version is a digest of the parts of the spec that its stage obeys and of the Python beside the YAML,
not of the platform's own source: otherwise each edit anywhere would make every partition of every pipeline look stale.
What the platform itself was is kept in each commit and in each bundle, as far as a model depends on it.
"""

import hashlib
import inspect
import json
from functools import cache
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from ml_platform.contracts.spec import PipelineSpec, member_stage
from ml_platform.orchestration.resolution import Pipeline

PLATFORM = Path(__file__).parents[1]
OBEYS = {
    "raw": {"partitions", "source", "event_time", "schema"},
    "validated": {"quality", "schema", "key", "event_time"},
    "features": {"features", "event_time", "label"},
    "training_set": {"split", "label", "key"},
    "candidate": {"models", "ensemble", "decide"},
    "evaluation": {"gates", "decide", "metrics"},
    "drift": {"monitoring"},
}


# What no model depends on: how it is described, judged, approved, tracked and watched.
AROUND_A_MODEL = ("description", "owners", "gates", "approval", "tracking", "monitoring", "retrain")
# Rooms that no fit uses: people's tools, other pipelines, and what becomes of a version once it is registered. The
# author's feature code stands in the bundle itself, and what a source or lookup gave is known by its content.
ROOMS_AROUND_A_MODEL = ("defs", "cli", "demo", "authoring", "deployment", "ledger", "rollout")


def model_spec(spec: PipelineSpec) -> dict[str, Any]:
    """Return what a model depends on of what the author declared, as JSON has it."""
    declared = spec.model_dump(mode="json", by_alias=True)
    return {name: value for name, value in declared.items() if name not in AROUND_A_MODEL}


def spec_digest(pipeline: Pipeline) -> str:
    """Return the SHA-256 of what a model depends on of what the author declared."""
    return hashlib.sha256(json.dumps(model_spec(pipeline.spec), sort_keys=True).encode()).hexdigest()


def stage_version(pipeline: Pipeline, stage: str) -> str:
    """Give the code version of a stage: the spec's parts it obeys, and the author's Python where the stage runs it."""
    spec = pipeline.spec.model_dump(mode="json", by_alias=True)
    own = spec["features"]["lookups"] | _members(pipeline, spec)
    obeyed = own[stage] if stage in own else {name: spec.get(name) for name in OBEYS.get(stage, spec)}
    told = json.dumps([stage, obeyed, _schema(pipeline) if "schema" in obeyed else None], sort_keys=True)
    return hashlib.sha256(told.encode() + _python(pipeline, stage)).hexdigest()[:12]


def _members(pipeline: Pipeline, spec: dict[str, Any]) -> dict[str, Any]:
    """Give what each member obeys: its model, and of the ensemble only whether it asks for out-of-fold predictions."""
    is_stacked = pipeline.spec.ensemble is not None and pipeline.spec.ensemble.kind == "stacked"
    return {member_stage(name): [spec["models"][name], is_stacked] for name in pipeline.spec.members}


def _schema(pipeline: Pipeline) -> dict[str, list[str]]:
    columns = pipeline.schema.columns
    return {name: [str(each.dtype), str(each.nullable), *map(str, each.checks)] for name, each in columns.items()}


def _python(pipeline: Pipeline, stage: str) -> bytes:
    """Give the source of the module that the author's function for a stage stands in, if there is one."""
    if stage == "features":
        return (pipeline.plan.code or "").encode()
    if stage == "evaluation":
        return b"".join(module_text(pipeline.metrics[name]) for name in sorted(pipeline.metrics))
    return module_text(
        pipeline.lookups.get(stage, getattr(pipeline.source, "function", None) if stage == "raw" else None)
    )


def author_version(pipeline: Pipeline) -> str:
    """Return a digest of all the author's Python that a pipeline runs, which no digest of the platform's code holds."""
    texts = [_python(pipeline, stage) for stage in ("raw", *sorted(pipeline.lookups), "features", "evaluation")]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:12]


def module_text(function: object) -> bytes:
    """Give the source of the module that a function was written in; nothing where there is no file."""
    module = inspect.getmodule(function)
    return b"" if module is None or module.__file__ is None else Path(module.__file__).read_bytes()


@cache
def code_version(root: Path = PLATFORM) -> str:
    """Return the platform's version and a digest of the source that a model depends on.

    Parameters
    ----------
    root : Path
        Folder of the platform's package.
    """
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root)
        if place.parts[0] not in ROOMS_AROUND_A_MODEL:
            digest.update(place.as_posix().encode() + path.read_bytes())
    return f"{installed_version('ml-platform')}+{digest.hexdigest()[:12]}"
