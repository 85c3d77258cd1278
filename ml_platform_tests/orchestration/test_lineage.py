"""A registered model and the data it was trained from: shown, named by hash, and kept whatever else goes."""

import pytest
from typer.testing import CliRunner

from ml_platform.cli import app
from ml_platform.registry.bundle import open_bundle
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import AS_OF, LAST, World

pytestmark = [pytest.mark.slow, *DAGSTER]

RUNNER = CliRunner()


def test_a_training_set_is_shown_back_to_the_source(world: World) -> None:
    """Each stage below the one that read it."""
    said = RUNNER.invoke(app, ["data", "show", "tiny", AS_OF, "--home", str(world.home.root)]).stdout
    lines = said.splitlines()
    assert lines[0].startswith(f"tiny {AS_OF}: pass, ")
    below = [line.split()[0] for line in lines if line.startswith(("tiny/training_set", "  ", "tiny/features"))]
    assert below[0] == "tiny/training_set"
    assert {"tiny/features", "tiny/validated", "tiny/raw", "from"} <= set(below)


def test_vacuum_keeps_what_a_registered_model_was_trained_from(world: World) -> None:
    """Its rows can be read again after everything was overwritten, and no other old version can."""
    lake = world.lake
    [model] = world.models.registered()
    manifest = open_bundle(world.models.bundle(model)).manifest
    needed = {each.table: each.version for each in manifest.data}
    needed["tiny/training_set"] = lake.written("tiny/training_set")[AS_OF].version
    before = {table: lake.read(table, version=version) for table, version in needed.items()}
    for _ in range(2):
        for table in needed:
            keys = list(lake.written(table))
            lake.write(table, lake.read(table, keys).head(3), keys)
    between = {table: lake.version(table) - 1 for table in needed}
    asked = ["lake", "vacuum", "--keep", "0", "--home", str(world.home.root)]
    told = RUNNER.invoke(app, [*asked, "--dry-run"])
    assert "would go" in told.stdout
    assert lake.read("tiny/features", version=between["tiny/features"]).height == 3
    result = RUNNER.invoke(app, asked)
    assert result.exit_code == 0, result.exception
    for table, version in needed.items():
        assert f"kept for models: v{version}" in result.stdout
        assert lake.read(table, version=version).equals(before[table]), table
        assert lake.read(table).height == 3
        with pytest.raises(FileNotFoundError):
            lake.read(table, version=between[table])
    assert world.run("data", LAST).success


def test_the_manifest_of_a_training_set_is_the_one_its_model_names(world: World) -> None:
    """With tables, versions and the hash of each partition that was read."""
    [model] = world.models.registered()
    bundle = open_bundle(world.models.bundle(model)).manifest
    lineage = world.lake.written("tiny/training_set")[AS_OF].lineage
    assert bundle.training_manifest == lineage["manifest_digest"]
    tables = {each["table"]: each for each in lineage["manifest"]["tables"]}
    named = {each.table: each.version for each in bundle.data}
    assert named.items() >= {t: e["version"] for t, e in tables.items()}.items()
    assert named.keys() - tables.keys() == {"tiny/lines", "tiny/road"}  # the lookups, whose snapshot a bundle holds
    hashes = {key: each.hash for key, each in world.lake.written("tiny/features").items()}
    for key, content in tables["tiny/features"]["partitions"].items():
        assert content["hash"] == hashes[key]
    assert lineage["manifest"]["spec_digest"] == bundle.spec_digest
    assert lineage["manifest"]["code_version"] == bundle.code_version
