"""A new pipeline, from what its author wants to a folder that was loaded once to prove it; and Dagster's way to ask."""

import os
from dataclasses import replace
from pathlib import Path

import dagster as dg
import yaml

from ml_platform.authoring.draft import Draft, draft
from ml_platform.authoring.levels import require_level
from ml_platform.authoring.report import report
from ml_platform.authoring.sample import read_sample
from ml_platform.authoring.wanted import Wanted, require_name
from ml_platform.authoring.writing import MODULE, SCHEMA, YAML, require_free, write_folder
from ml_platform.data.quality.frozen_schema import schema_text
from ml_platform.orchestration.resolution import Pipeline, resolve

PROJECT_FILES = ("pyproject.toml", "dg.toml")


def new_pipeline(name: str, wanted: Wanted, defs: Path, *, force: bool = False) -> tuple[Draft, list[str]]:
    """Draft a pipeline, prove that it loads, and put it into the folder of pipelines.

    Parameters
    ----------
    defs : Path
        The folder of all pipelines.

    Returns
    -------
    tuple of Draft and list of str
        What was written, and the names under which earlier files were kept.

    Raises
    ------
    PlatformError
        If there is no pipeline to be made; then nothing is written.
    """
    require_name(name)
    require_level(wanted.level)
    folder = defs.absolute() / name
    require_free(folder, force=force)
    sample = read_sample(wanted, Path.cwd())
    made = draft(name, wanted, replace(sample, source={**sample.source, "path": _path_from(folder, wanted.data)}))
    files = {YAML: made.text, SCHEMA: schema_text(sample.schema), MODULE: f'"""{made.description}"""\n'}
    return made, write_folder(folder, files, _load, force=force)


def _load(folder: Path) -> Pipeline:
    path = folder / YAML
    return resolve(yaml.safe_load(path.read_text(encoding="utf-8"))["attributes"], path, folder.name)


def _path_from(folder: Path, data: str) -> str:
    """Write where the data lies: from the pipeline's folder if both lie in one project, so that it may be moved."""
    if "://" in data:
        return data
    place = Path(data).absolute()
    project = next((each for each in folder.parents if any((each / file).exists() for file in PROJECT_FILES)), None)
    return os.path.relpath(place, folder) if project is not None and place.is_relative_to(project) else str(place)


class PipelineScaffolder(dg.Scaffolder[Wanted]):
    """`dg scaffold defs ml_platform.orchestration.MLPipeline NAME --from ... --time ... --target ...`."""

    @classmethod
    def get_scaffold_params(cls) -> type[Wanted]:
        """Give the model of the options."""
        return Wanted

    def scaffold(self, request: dg.ScaffoldRequest[Wanted]) -> None:
        """Write the folder of a pipeline; an empty folder that Dagster made for one that was refused goes again."""
        folder = request.target_path
        try:
            made, _ = new_pipeline(folder.name, request.params, folder.parent)
        except BaseException:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
            raise
        print("\n".join(report(made, folder)))  # noqa: T201 - Dagster's command has no other way to show it
