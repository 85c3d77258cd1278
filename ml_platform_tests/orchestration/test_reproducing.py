"""A version fitted again in a real process: equal to the last bit here, and what is not as it was is named."""

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from ml_platform.cli import app
from ml_platform.contracts.errors import BundleDamaged, NotReproducible
from ml_platform.contracts.records import Certificate, ModelVersion
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.orchestration.reproducing import reproduce
from ml_platform.registry import bundle as files
from ml_platform.registry.bundle import Bundle, open_bundle, write_bundle
from ml_platform_tests.fakes.model_store import InMemoryModelStore
from ml_platform_tests.pipelines.fixtures import as_pipeline
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import AS_OF, FOLDER, World, tiny

pytestmark = [pytest.mark.slow, *DAGSTER]

PACKAGE = "ml_platform_tests.pipelines.tiny"
YAML = FOLDER / "defs.yaml"


def _version(world: World) -> ModelVersion:
    return world.models.version("tiny", 1)


def _bundle(world: World) -> Bundle:
    return open_bundle(world.models.bundle(_version(world)))


def _registered(world: World, folder: Path, changed: dict[str, bytes], **fields: Any) -> InMemoryModelStore:
    """Give a store whose only version is the trained one, with some of its files or manifest changed."""
    bundle, store = _bundle(world), InMemoryModelStore(folder / "store")
    content = {name: bundle.read_bytes(name) for name in bundle.manifest.files} | changed
    kept = {name: content[name] for name in content if content[name]}
    made = write_bundle(folder / "made", kept, **bundle.manifest.model_dump(exclude={"files"}) | fields)
    version = store.register("tiny", made.root, as_of=bundle.manifest.as_of, digest=made.digest, run_id="none")
    store.environments["tiny", 1] = world.models.environment(_version(world))
    assert version.version == 1
    return store


def _again(world: World, store: InMemoryModelStore, path: Path = YAML, package: str = PACKAGE) -> Certificate:
    return reproduce(path, package, store.version("tiny", 1), world.lake, store)


def _named(certificate: Certificate) -> set[tuple[str, str]]:
    return {(each.kind, each.name) for each in certificate.changed}


def test_a_version_comes_out_equal_from_tables_that_were_written_again_since(world: World) -> None:
    """Its own table versions are read; the command says so, keeps the certificate, and names what was rewritten."""
    rows = world.lake.read("tiny/validated", ["2020-01-15"])
    world.lake.write("tiny/validated", rows.with_columns(passengers=pl.col("passengers") + 1), ["2020-01-15"])
    given = ["--home", str(world.home.root), "--defs", str(FOLDER.parent), "--json"]

    result = CliRunner().invoke(app, ["reproduce", "tiny", "1", *given])

    assert result.exit_code == 0, result.output
    certificate = Certificate.model_validate_json(result.stdout)
    assert certificate.is_equal
    assert certificate.largest_difference == 0
    assert certificate.rows > 0
    assert _named(certificate) == {("table", "tiny/validated[2020-01-15]")}
    assert certificate.then == certificate.now
    assert {"cpu", "cpus", "python", "platform", "lightgbm", "numpy", "code"} <= certificate.then.keys()
    assert world.models.certificate(_version(world)) == certificate


def test_a_changed_parameter_library_and_feature_code_are_named(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them mattered here: the version's own parameters and feature code were used."""
    folder = tmp_path / "code" / "changed_tiny"
    shutil.copytree(FOLDER, folder)
    (folder / "defs.yaml").write_text(YAML.read_text().replace("num_leaves: 7", "num_leaves: 9"))
    with (folder / "features.py").open("a") as code:
        code.write("# changed\n")
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setenv("PYTHONPATH", str(folder.parent), prepend=":")
    libraries = _bundle(world).manifest.libraries | {"lightgbm": "3.3.5"}
    store = _registered(world, tmp_path, {}, libraries=libraries, code_version="0.0.1+older")

    certificate = _again(world, store, folder / "defs.yaml", "changed_tiny")

    found = {each.name: (each.kind, each.then, each.now) for each in certificate.changed}
    assert found["lightgbm"] == ("library", "3.3.5", certificate.now["lightgbm"])
    assert found["models.gbm.params.num_leaves"] == ("parameter", "7", "9")
    assert (found["ml_platform"][0], found["ml_platform"][1]) == ("code", "0.0.1+older")
    assert found["features.py"][0] == "features"
    assert len(found) == 4
    assert certificate.is_equal


def test_a_training_set_that_was_made_under_another_spec_is_made_again_as_it_was(world: World) -> None:
    """A parameter was changed after the training set was made: the candidate's spec is not the training set's."""
    told = tiny().spec.model_dump(mode="json", by_alias=True)
    told["models"]["gbm"]["params"]["num_leaves"] = 5
    changed = as_pipeline(world, replace(tiny(), spec=PipelineSpec.model_validate(told)))
    assert changed.materialize("candidate", key=AS_OF).success

    certificate = reproduce(YAML, PACKAGE, world.models.version("tiny", 2), world.lake, world.models)

    assert certificate.is_equal
    assert _named(certificate) == {("parameter", "models.gbm.params.num_leaves")}


def test_a_version_that_was_fitted_otherwise_than_it_says_differs_and_says_where(world: World, tmp_path: Path) -> None:
    fit = _bundle(world).read_json(files.FIT)
    fit["models"]["gbm"]["params"]["num_leaves"] = 15
    store = _registered(world, tmp_path, {files.FIT: json.dumps(fit, sort_keys=True).encode()})

    certificate = _again(world, store)

    assert not certificate.is_equal
    assert certificate.largest_difference > 0
    broken = {each.kind: each.name for each in certificate.broken if each.name != files.EXAMPLE}
    assert broken == {"file": "model.txt", "predictions": f"{certificate.rows} rows of the holdout"}
    assert _named(certificate) == {("parameter", "models.gbm.params.num_leaves")}
    assert store.certificate(store.version("tiny", 1)) == certificate


def test_a_table_version_that_was_vacuumed_is_named_with_what_changed(world: World) -> None:
    rows = world.lake.read("tiny/features", ["2020-01-15"])
    world.lake.write("tiny/features", rows.head(10), ["2020-01-15"])
    world.lake.vacuum("tiny/features", timedelta(0), [], is_dry=False)

    with pytest.raises(NotReproducible, match=r"tiny/features version \d+: got no files .* 2020-01-15; other rows by"):
        reproduce(YAML, PACKAGE, _version(world), world.lake, world.models)


def test_a_table_that_is_gone_is_named(world: World) -> None:
    shutil.rmtree(world.home.lake / "tiny" / "road")

    with pytest.raises(NotReproducible, match=r"tiny/road: got no such table, expected version"):
        reproduce(YAML, PACKAGE, _version(world), world.lake, world.models)


def test_a_training_manifest_that_is_gone_is_named(world: World, tmp_path: Path) -> None:
    store = _registered(world, tmp_path, {}, training_manifest="0" * 64)

    with pytest.raises(NotReproducible, match="tiny/training_set: training manifest: got none of this digest"):
        _again(world, store)


def test_a_bundle_that_does_not_say_what_was_fitted_is_refused(world: World, tmp_path: Path) -> None:
    store = _registered(world, tmp_path, {files.FIT: b""})

    with pytest.raises(NotReproducible, match=r"got no fit\.json"):
        _again(world, store)


def test_a_damaged_bundle_is_refused(world: World, tmp_path: Path) -> None:
    store = _registered(world, tmp_path, {})
    (store.bundle(store.version("tiny", 1)) / "model.txt").write_text("tree")

    with pytest.raises(BundleDamaged, match=r"model\.txt"):
        _again(world, store)
