"""The pipelines of `ml_platform/defs`, run whole on their real data: loaded, trained, judged and promoted."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml

from ml_platform import defs
from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.home import Home
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform_tests.pipelines.fixtures import enter
from ml_platform_tests.pipelines.world import InProcessTarget, World, definitions, error_of


def folder_of(name: str) -> Path:
    """Give the folder of a pipeline."""
    return Path(defs.__path__[0]) / name


@cache
def shipped(name: str) -> Pipeline:
    """Give a pipeline as its author wrote it."""
    path = folder_of(name) / "defs.yaml"
    return resolve(yaml.safe_load(path.read_text())["attributes"], path, f"{defs.__name__}.{name}")


@contextmanager
def deployed(name: str, folder: Path, partitions: tuple[str, str], as_of: str) -> Iterator[World]:
    """Load a range of partitions, retrain as of another, and see it become champion: two jobs, and nothing by hand."""
    home = Home(folder)
    with pytest.MonkeyPatch.context() as patched, dg.DagsterInstance.ephemeral() as instance:
        enter(home, patched)
        world = World(home, instance, definitions(shipped(name), target=InProcessTarget(home)), name)
        for done in (world.run("data", *partitions), world.run("retrain", as_of)):
            assert done.success, error_of(done)
        assert world.promoted() == [1]
        yield world


def evaluation_of(world: World) -> Evaluation:
    """Give what was measured of the one version that was evaluated."""
    [evaluated] = world.decisions("evaluated")
    return Evaluation.model_validate(evaluated.payload)


def metadata_of(world: World, stage: str) -> dict[str, Any]:
    """Give what the UI shows of a stage's newest materialization."""
    event = world.instance.get_latest_materialization_event(dg.AssetKey([world.name, stage]))
    assert event is not None
    assert event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def served(world: World, rows: pl.DataFrame) -> list[Any]:
    """Ask the server's own code, in this process, for the champion's answer to raw rows."""
    from ml_platform.serving.models import ModelTable
    from ml_platform.serving.plain import score_rows

    table = ModelTable(world.home, world.ledger)
    table.refresh()
    fields = [field.name for field in shipped(world.name).signature]
    body = json.dumps({"rows": rows.select(fields).to_dicts()}, default=lambda at: at.isoformat())
    return score_rows(table, world.name, None, body.encode()).predictions
