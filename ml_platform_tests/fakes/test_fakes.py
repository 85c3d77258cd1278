"""The fakes keep the promises of their ports; the ledger's are in `ledger/test_ledgers.py`."""

from pathlib import Path

import pytest

from ml_platform.contracts.errors import ServerUnreachable, VersionNotFound
from ml_platform.contracts.ports import Ledger, ModelStore, Target
from ml_platform.contracts.records import ModelVersion
from ml_platform_tests.fakes.ledger import InMemoryLedger
from ml_platform_tests.fakes.model_store import InMemoryModelStore
from ml_platform_tests.fakes.target import RecordingTarget


@pytest.fixture
def store(tmp_path: Path) -> InMemoryModelStore:
    """Give a store without versions."""
    return InMemoryModelStore(tmp_path / "store")


def _register(store: InMemoryModelStore, folder: Path, as_of: str, digest: str) -> ModelVersion:
    bundle = folder / digest
    bundle.mkdir(exist_ok=True)
    (bundle / "manifest.json").write_text(digest)
    return store.register("flights", bundle, as_of=as_of, digest=digest, run_id="r")


def test_the_fakes_fit_the_ports(store: InMemoryModelStore) -> None:
    """The type checker reads this; at run time it shows that all three can be made."""
    ports: tuple[Ledger, ModelStore, Target] = (InMemoryLedger(), store, RecordingTarget())
    assert len(ports) == 3


def test_the_same_digest_is_the_same_version(store: InMemoryModelStore, tmp_path: Path) -> None:
    """Registering after a crash makes no second one."""
    first = _register(store, tmp_path, "2013-06-01", "a")
    assert _register(store, tmp_path, "2013-06-01", "a") == first
    assert _register(store, tmp_path, "2013-06-01", "b").version == 2
    assert (store.bundle(first) / "manifest.json").read_text() == "a"


def test_the_newest_is_by_as_of_then_by_number(store: InMemoryModelStore, tmp_path: Path) -> None:
    """A backfilled older as-of is not the newest."""
    assert store.newest("flights") is None
    for as_of, digest in (("2013-07-01", "a"), ("2013-07-01", "b"), ("2013-06-01", "c")):
        _register(store, tmp_path, as_of, digest)
    newest, older = store.newest("flights"), store.newest("flights", "2013-06-01")
    assert newest is not None
    assert older is not None
    assert (newest.digest, older.digest) == ("b", "c")


def test_an_unknown_version_is_not_found(store: InMemoryModelStore) -> None:
    """Nor can it get an alias."""
    unknown = ModelVersion(pipeline="flights", version=9, digest="d", as_of="2013-06-01", run_id="r")
    with pytest.raises(VersionNotFound, match="got 9"):
        store.version("flights", 9)
    with pytest.raises(VersionNotFound, match="got 9"):
        store.set_alias(unknown, "champion")


def test_the_target_scores_what_was_deployed(tmp_path: Path) -> None:
    """And nothing else."""
    version = ModelVersion(pipeline="flights", version=1, digest="d", as_of="2013-06-01", run_id="r")
    target = RecordingTarget(lambda row: row["x"])
    with pytest.raises(ServerUnreachable, match="no such deployed version"):
        target.score("flights", [{"x": 1.0}], 1)
    target.deploy(version, tmp_path)
    target.deploy(version, tmp_path)
    assert target.score("flights", [{"x": 1.0}, {"x": 2.0}], 1) == [1.0, 2.0]
    assert (target.deployed, target.scored) == ([version], [("flights", 1, 2)])
