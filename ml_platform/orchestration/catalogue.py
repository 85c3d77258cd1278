"""The feature catalogue: what there is, what it is made of and who uses it; and all pipelines of a folder."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from ml_platform.contracts.spec import Lookup, WindowFeature
from ml_platform.contracts.spec.features import RowsWindow
from ml_platform.features.types import widen_type
from ml_platform.orchestration.resolution import Pipeline, resolve

COMPONENT = "ml_platform.orchestration.MLPipeline"


@dataclass(frozen=True)
class Feature:
    """One feature: `made_of` is its window, its lookup, its expression or its function, as the author wrote it."""

    name: str
    type: str
    kind: str
    made_of: str
    description: str
    used_by: str

    def to_json(self) -> dict[str, str]:
        """Give a JSON object."""
        return asdict(self)


def load_pipelines(folder: Path, package: str) -> dict[str, Pipeline]:
    """Resolve every pipeline below a folder of definitions, by name.

    Parameters
    ----------
    folder : Path
        Searched for `defs.yaml`, at any depth; what is of another component is left out.
    package : str
        Import name of the folder.

    Raises
    ------
    SpecError
        As `resolve`, for the first pipeline that is wrong.
    """
    found: dict[str, Pipeline] = {}
    for path in sorted(folder.rglob("defs.yaml")):
        inner = ".".join([package, *path.parent.relative_to(folder).parts])
        for document in yaml.safe_load_all(path.read_text()):
            if isinstance(document, dict) and document.get("type") == COMPONENT:
                pipeline = resolve(document.get("attributes") or {}, path, inner)
                found[pipeline.name] = pipeline
    return found


def feature_catalogue(pipeline: Pipeline) -> list[Feature]:
    """List the features of a pipeline, in the model's order."""
    made = _made_of(pipeline)
    users = ", ".join(f"{pipeline.name}/{model}" for model in pipeline.spec.models)
    described = descriptions(pipeline)
    return [
        Feature(
            name=name,
            type=str(widen_type(pipeline.types[name])).lower(),
            kind=made[name][0],
            made_of=made[name][1],
            description=described.get(name, ""),
            used_by=users,
        )
        for name in pipeline.spec.features.columns
    ]


def descriptions(pipeline: Pipeline) -> dict[str, str]:
    """Return what the author says of columns, in the schema and in the YAML, which wins."""
    said = {str(name): column.description for name, column in pipeline.schema.columns.items()}
    said |= {window.name: window.description for window in pipeline.spec.features.windows}
    said |= pipeline.spec.features.descriptions
    return {name: text for name, text in said.items() if text}


def catalogue_table(features: Sequence[Feature]) -> str:
    """Write a catalogue as a Markdown table."""
    lines = [list(Feature.__dataclass_fields__), ["---"] * len(Feature.__dataclass_fields__)]
    lines += [[value.replace("|", "\\|") for value in feature.to_json().values()] for feature in features]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _made_of(pipeline: Pipeline) -> dict[str, tuple[str, str]]:
    """Give kind and origin of each feature; what nothing else makes is the author's function's."""
    features = pipeline.spec.features
    made = dict.fromkeys(features.columns, ("python", features.python or ""))
    made |= {name: ("input", name) for name in pipeline.plan.raw_columns}
    for name, lookup in features.lookups.items():
        made |= {f"{name}_{column}": ("lookup", _joined(name, lookup, column)) for column in lookup.columns}
    made |= {window.name: ("window", _windowed(window)) for window in features.windows}
    return made | {name: ("derive", sql) for name, sql in features.derive.items()}


def _joined(name: str, lookup: Lookup, column: str) -> str:
    joined = f"{column} of {name} by {', '.join(lookup.by)}"
    given = lookup.model_dump(mode="json")
    return (
        joined
        if lookup.tolerance is None
        else f"{joined}, as known at the event time, at most {given['tolerance']} old"
    )


def _windowed(window: WindowFeature) -> str:
    given = window.model_dump(mode="json")
    over = (
        f"the newest {given['over']} within {given['within']}" if isinstance(window.over, RowsWindow) else given["over"]
    )
    where = "" if window.where is None else f" where {window.where}"
    return f"{window.how} of {window.of or 'rows'} by {', '.join(window.by)} over {over}{where}"
