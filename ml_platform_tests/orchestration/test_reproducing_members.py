"""Ensembles, their members and searched versions fitted again in a real process, by the command a person types."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from ml_platform.cli import app
from ml_platform.contracts.records import Certificate, ModelVersion
from ml_platform.data.lake.rereading import kept_training_set, reread
from ml_platform.orchestration.reproducing import reproduce
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.registry import bundle as files
from ml_platform.registry.bundle import open_bundle, write_bundle
from ml_platform_tests.fakes.model_store import InMemoryModelStore
from ml_platform_tests.pipelines.ensembles import MODELS, tiny_ensemble, write_pipeline
from ml_platform_tests.pipelines.fixtures import as_pipeline
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.searching import search_world, searching
from ml_platform_tests.pipelines.world import AS_OF, NAME, World, error_of

pytestmark = [pytest.mark.slow, *DAGSTER]

REWRITTEN = ("table", "tiny/validated[2020-01-15]")


@pytest.fixture
def defs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder of pipelines that the command, and the process it starts, can import from."""
    folder = tmp_path / "pipelines"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    yield folder
    for name in [each for each in sys.modules if each.partition(".")[0] == NAME]:
        del sys.modules[name]


def _command(world: World, name: str, defs: Path, code: int = 0) -> Certificate:
    given = ["--home", str(world.home.root), "--defs", str(defs), "--json"]
    result = CliRunner().invoke(app, ["reproduce", name, "1", *given])
    assert result.exit_code == code, result.output
    return Certificate.model_validate_json(result.stdout)


def _named(certificate: Certificate) -> set[tuple[str, str]]:
    return {(each.kind, each.name) for each in certificate.changed}


def _rewrite(world: World, table: str, partition: str = "2020-01-15") -> int:
    """Change a partition of a table, of features as if their inputs had given that; gives the version that holds it."""
    rows = world.lake.read(table, [partition]).with_columns(passengers=pl.col("passengers") + 1)
    if table != "tiny/features":
        return world.lake.write(table, rows, [partition]).version
    world.rewrite("features", rows, partition)
    return world.lake.version(table)


def _vacuum(world: World) -> str:
    result = CliRunner().invoke(app, ["lake", "vacuum", "--keep", "0", "--home", str(world.home.root)])
    assert result.exit_code == 0, result.output
    return result.stdout


def _changed_version(
    world: World, name: str, folder: Path, changed: dict[str, bytes], **fields: Any
) -> tuple[InMemoryModelStore, ModelVersion]:
    """Give a store that holds version 1 of a model with some of its files or its manifest changed."""
    found, store = world.models.version(name, 1), InMemoryModelStore(folder / "store")
    bundle = open_bundle(world.models.bundle(found))
    content = {each: bundle.read_bytes(each) for each in bundle.manifest.files} | changed
    made = write_bundle(folder / "made", content, **bundle.manifest.model_dump(exclude={"files"}) | fields)
    store.environments[name, 1] = world.models.environment(found)
    return store, store.register(name, made.root, as_of=AS_OF, digest=made.digest, run_id="none")


def test_a_stack_and_each_of_its_members_come_out_equal_and_what_changed_is_named(stacked: World, defs: Path) -> None:
    """A table was rewritten, the lake vacuumed, a member's parameter changed: it is named, and fitted as it was.

    Each is a version of its own, and each keeps its own certificate though one MLflow run holds them all.
    """
    trees = {**MODELS["trees"], "params": MODELS["trees"]["params"] | {"num_leaves": 9}}
    write_pipeline(tiny_ensemble("stacked", models={**MODELS, "trees": trees}), defs)
    versions = [_rewrite(stacked, "tiny/validated") for _ in range(2)]
    _vacuum(stacked)
    with pytest.raises(FileNotFoundError):
        stacked.lake.read("tiny/validated", ["2020-01-15"], version=versions[0])

    made = {name: _command(stacked, name, defs) for name in ("tiny", "tiny.trees", "tiny.linear")}

    changed = ("parameter", "models.trees.params.num_leaves")
    for name, certificate in made.items():
        version = stacked.models.version(name, 1)
        assert (certificate.pipeline, certificate.digest) == (name, version.digest)
        assert (certificate.is_equal, certificate.largest_difference) == (True, 0)
        assert _named(certificate) == ({REWRITTEN} if name == "tiny.linear" else {REWRITTEN, changed})
        assert certificate.then == certificate.now
        assert stacked.models.certificate(version) == certificate


def test_a_vacuum_leaves_what_a_member_was_made_from_though_no_ensemble_names_it(stacked: World) -> None:
    """The member was fitted once more on a training set of other features, and the candidate was not."""
    _rewrite(stacked, "tiny/features")
    assert stacked.materialize("training_set", "member_trees", key=AS_OF).success
    assert stacked.models.version("tiny.trees", 2).as_of == AS_OF
    places = [("tiny/features", "2020-01-15"), ("tiny/training_set", AS_OF)]
    unneeded = [_rewrite(stacked, *place) for place in places]
    for place in places:
        _rewrite(stacked, *place)

    assert "kept for models" in _vacuum(stacked)

    for (table, partition), version in zip(places, unneeded, strict=True):
        with pytest.raises(FileNotFoundError):
            stacked.lake.read(table, [partition], version=version)
    for version in stacked.models.registered():
        manifest = open_bundle(stacked.models.bundle(version), version.digest).manifest
        kept, _ = kept_training_set(stacked.lake, "tiny/training_set", manifest.training_manifest, AS_OF)
        assert [fault for table in kept.tables for fault in reread(stacked.lake, table)] == []
        for each in manifest.data:
            assert len(stacked.lake.read(each.table, version=each.version))


def test_a_member_that_is_declared_no_more_is_made_again_all_the_same(stacked: World, defs: Path) -> None:
    """Everything that was said of it is named as gone, and nothing of its fellows."""
    models = {"linear": MODELS["linear"], "other": MODELS["linear"]}
    write_pipeline(tiny_ensemble("average", models=models, ensemble={"kind": "average", "of": list(models)}), defs)

    certificate = _command(stacked, "tiny.trees", defs)

    assert certificate.is_equal
    gone = {each.name: each.now for each in certificate.changed}
    assert gone["models.trees.kind"] is None
    assert all(name.startswith("models.trees.") for name in gone)


def test_a_member_that_was_fitted_otherwise_than_it_says_is_named_in_the_ensemble(
    stacked: World, defs: Path, tmp_path: Path
) -> None:
    """By its files, its library and its parameter."""
    path = write_pipeline(tiny_ensemble("stacked"), defs)
    version = stacked.models.version("tiny", 1)
    bundle = open_bundle(stacked.models.bundle(version))
    fit = bundle.read_json(files.FIT)
    fit["models"]["trees"]["params"]["num_leaves"] = 15
    libraries = bundle.manifest.libraries | {"scikit-learn": "0.1"}
    changed = {files.FIT: json.dumps(fit, sort_keys=True).encode()}
    store, version = _changed_version(stacked, "tiny", tmp_path, changed, libraries=libraries)

    certificate = reproduce(path, NAME, version, stacked.lake, store)

    broken = {each.name for each in certificate.broken if each.kind == "file"} - {files.EXAMPLE}
    # The linear member stands in model.json, with the weights; fit.json tells at which round the trees stopped.
    assert broken == {"member_trees/model.txt", files.MODEL, files.FIT}
    assert certificate.largest_difference > 0
    assert _named(certificate) == {("parameter", "models.trees.params.num_leaves"), ("library", "scikit-learn")}


def test_out_of_fold_predictions_that_come_out_otherwise_are_named(stacked: World, defs: Path, tmp_path: Path) -> None:
    """A stack learns from them: a member is not the same without them, though its predictions are."""
    path = write_pipeline(tiny_ensemble("stacked"), defs)
    store, version = _changed_version(stacked, "tiny.trees", tmp_path, {"out_of_fold.arrow": b"others"})

    certificate = reproduce(path, NAME, version, stacked.lake, store)

    assert {(each.kind, each.name) for each in certificate.broken} == {("file", "out_of_fold.arrow")}
    assert certificate.largest_difference == 0


def test_a_weighted_ensemble_comes_out_equal(loaded: World, defs: Path) -> None:
    """Its members hold no out-of-fold predictions, and none are made."""
    pipeline = tiny_ensemble("weighted")
    assert _trained(as_pipeline(loaded, pipeline), pipeline, defs).is_equal


def test_a_searched_version_comes_out_equal_and_its_parameters_are_no_change(loaded: World, defs: Path) -> None:
    """What the search found is fitted, without a search; the spec that asked for it is the same."""
    world = search_world(loaded.home, loaded.instance)
    certificate = _trained(world, searching(), defs)
    assert certificate.is_equal
    assert certificate.changed == ()


def test_a_searched_member_comes_out_equal_by_itself_and_in_its_stack(loaded: World, defs: Path) -> None:
    search = {"trials": 2, "space": {"num_leaves": {"low": 3, "high": 15}}}
    params = {"min_data_in_leaf": 20, "num_threads": 1}
    pipeline = tiny_ensemble(
        "stacked", models={**MODELS, "trees": {**MODELS["trees"], "params": params, "search": search}}
    )
    assert _trained(as_pipeline(loaded, pipeline), pipeline, defs).is_equal
    member = _command(loaded, "tiny.trees", defs)
    assert (member.is_equal, member.changed) == (True, ())


def _trained(world: World, pipeline: Pipeline, defs: Path) -> Certificate:
    """Retrain, and fit version 1 again."""
    result = world.run("retrain", AS_OF)
    assert result.success, error_of(result)
    write_pipeline(pipeline, defs)
    return _command(world, "tiny", defs)
