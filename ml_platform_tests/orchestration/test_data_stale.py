"""`ml-platform data stale`: what is stale is listed with its reason and the one job that makes it again."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from ml_platform.cli import app
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import FOLDER, World, error_of

pytestmark = [pytest.mark.slow, *DAGSTER]

DAY = "2020-01-10"


def _stale(world: World, *more: str) -> tuple[int, str]:
    given = ["--home", str(world.home.root), "--defs", str(FOLDER.parent), *more]
    result = CliRunner().invoke(app, ["data", "stale", "tiny", *given])
    return result.exit_code, result.stdout


def test_a_day_that_changed_is_listed_until_the_job_has_made_it_again(loaded: World) -> None:
    assert _stale(loaded) == (0, "")
    raw = loaded.lake.read("tiny/raw", [DAY])
    loaded.lake.write("tiny/raw", raw.with_columns(passengers=pl.col("passengers") + 1), [DAY])

    code, text = _stale(loaded)
    assert code == 1
    assert f"validated      {DAY}" in text
    assert "The job tiny_refresh" in text
    code, lines = _stale(loaded, "--json")
    assert code == 1
    assert {json.loads(line)["partition"] for line in lines.splitlines()} == {DAY}

    result = loaded.run("refresh", None)
    assert result.success, error_of(result)
    assert _stale(loaded) == (0, "")
