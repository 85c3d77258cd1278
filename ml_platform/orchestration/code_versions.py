"""Which spec and which code a result came from.

An asset's code version is a digest of the parts of the spec that its stage obeys and of the Python beside the YAML,
not of the platform's own source: otherwise each edit anywhere would make every partition of every pipeline look stale.
What the platform itself was is kept in each commit and in each bundle.
"""

import hashlib
import inspect
import json
from functools import cache
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from ml_platform.contracts.spec import member_stage
from ml_platform.orchestration.resolution import Pipeline

OBEYS = {
    "raw": {"partitions", "source", "event_time", "schema"},
    "validated": {"quality", "schema", "key", "event_time"},
    "features": {"features", "event_time", "label"},
    "training_set": {"split", "label", "key"},
    "candidate": {"models", "ensemble", "decide"},
    "evaluation": {"gates", "decide", "metrics"},
    "drift": {"monitoring"},
}


def spec_digest(pipeline: Pipeline) -> str:
    """Give the SHA-256 of what the author declared."""
    return hashlib.sha256(pipeline.spec.model_dump_json(by_alias=True).encode()).hexdigest()


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


def module_text(function: object) -> bytes:
    """Give the source of the module that a function was written in; nothing where there is no file."""
    module = inspect.getmodule(function)
    return b"" if module is None or module.__file__ is None else Path(module.__file__).read_bytes()


@cache
def code_version() -> str:
    """Give the platform's version and a digest of its own source."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return f"{installed_version('ml-platform')}+{digest.hexdigest()[:12]}"
