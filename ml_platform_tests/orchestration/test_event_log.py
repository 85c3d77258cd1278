"""Events stored together are those that Dagster would have stored one by one, or none of them."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
from dagster._core.storage.event_log import SqliteEventLogStorage

from ml_platform.orchestration.event_log import OPEN_AT_MOST, BatchedEventLog
from ml_platform_tests.pipelines.marks import DAGSTER

pytestmark = DAGSTER

KEY, CHECK, RUN = dg.AssetKey(["tiny", "raw"]), "rows_at_least_1", "00000000-0000-0000-0000-000000000001"
KEYS = ["a", "b", "c"]
OPEN_FILES = Path("/proc/self/fd")


def _entry(kind: DagsterEventType, data: Any, run: str = RUN) -> dg.EventLogEntry:
    event = DagsterEvent(kind.value, "job", event_specific_data=data, message="said")
    return dg.EventLogEntry(None, 10, "", run, 1_600_000_000.0, "step", "job", event)


def _made(key: str) -> StepMaterializationData:
    tags = {"dagster/data_version": f"of {key}"}
    return StepMaterializationData(dg.AssetMaterialization(KEY, partition=key, metadata={"rows": 1}, tags=tags))


def _events() -> list[dg.EventLogEntry]:
    made = [_made(key) for key in KEYS]
    found = [dg.AssetCheckEvaluation(KEY, CHECK, key != "b", {"rows": 1}, partition=key) for key in [*KEYS, None]]
    return [
        *(_entry(DagsterEventType.ASSET_MATERIALIZATION, each) for each in made),
        *(_entry(DagsterEventType.ASSET_CHECK_EVALUATION, each) for each in found),
    ]


def _seen(storage: SqliteEventLogStorage) -> dict[str, Any]:
    records = storage.get_asset_check_execution_history(dg.AssetCheckKey(KEY, CHECK), limit=100)
    made = storage.fetch_materializations(KEY, limit=100).records
    [asset] = storage.get_asset_records([KEY])
    newest = asset.asset_entry.last_materialization_record
    return {
        "run": [each.dagster_event for each in storage.get_logs_for_run(RUN)],
        "materializations": [(each.storage_id, each.partition_key, each.asset_materialization) for each in made],
        "versions": storage.get_latest_tags_by_partition(
            KEY, DagsterEventType.ASSET_MATERIALIZATION, [DATA_VERSION_TAG], KEYS
        ),
        "checks": [(each.partition, each.status, each.run_id) for each in records],
        "newest": newest and (newest.storage_id, newest.partition_key),
    }


def test_a_batch_is_what_its_events_are(tmp_path: Path) -> None:
    """In the log of the run, of the asset and of the check, tags and all."""
    stock, ours = SqliteEventLogStorage(str(tmp_path / "stock")), BatchedEventLog(str(tmp_path / "ours"))
    for event in _events():
        stock.store_event(event)
    ours.store_event_batch(_events())
    seen = _seen(ours)
    assert seen == _seen(stock)
    assert len(seen["run"]) == len(_events())
    assert [partition for partition, *_ in seen["checks"]] == [None, *reversed(KEYS)]


def test_a_batch_that_fails_stores_nothing(tmp_path: Path) -> None:
    """So that Dagster may store its events one by one, and none stands twice."""
    storage = _Counting(str(tmp_path))
    storage.fails_at = len(_events())
    with pytest.raises(OSError, match="full"):
        storage.store_event_batch(_events())
    assert storage.get_logs_for_run(RUN) == []
    assert storage.get_asset_records([KEY]) == []
    storage.store_event_batch(_events())
    assert len(storage.get_logs_for_run(RUN)) == len(_events())


def test_databases_are_opened_once_however_many_events_come(tmp_path: Path) -> None:
    """One for the run and one for all runs; the stock storage opens them for each event."""
    storage = _Counting(str(tmp_path))
    storage.store_event_batch(_events())
    storage.opened = 0
    storage.store_event_batch(_events() * 10)
    for event in _events():
        storage.store_event(event)
    assert storage.opened == 0


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="only Linux lists a process's open files there")
def test_only_the_newest_databases_stay_open_and_none_after_the_end(tmp_path: Path) -> None:
    """A daemon that lives for months sees many runs."""
    storage = BatchedEventLog(str(tmp_path))
    runs = [f"00000000-0000-0000-0000-{number:012}" for number in range(3 * OPEN_AT_MOST)]
    for run in runs:
        storage.store_event(_entry(DagsterEventType.ASSET_MATERIALIZATION, _made("a"), run))
    assert 0 < len(_open_files(tmp_path)) <= OPEN_AT_MOST
    assert [len(storage.get_logs_for_run(run)) for run in runs] == [1] * len(runs)
    storage.dispose()
    assert _open_files(tmp_path) == set()


def test_after_a_wipe_a_run_is_written_anew(tmp_path: Path) -> None:
    """Whether this storage wiped, or another process did: what is stored then is not lost in a file that is gone."""
    ours, theirs = BatchedEventLog(str(tmp_path)), SqliteEventLogStorage(str(tmp_path))
    for storage in (ours, theirs):
        ours.store_event_batch(_events())
        storage.wipe()
        assert theirs.get_asset_records([KEY]) == []
        ours.store_event_batch(_events())
        assert len(SqliteEventLogStorage(str(tmp_path)).get_logs_for_run(RUN)) == len(_events())


def test_what_a_killed_process_stored_is_there(tmp_path: Path) -> None:
    """Not waiting for the disk loses nothing while the machine lives."""
    code = (
        "import os, signal; from pathlib import Path; from ml_platform_tests.orchestration import test_event_log as t\n"
        "t.BatchedEventLog(os.environ['PLACE']).store_event_batch(t._events()); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PLACE": str(tmp_path)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(BatchedEventLog(str(tmp_path)).get_logs_for_run(RUN)) == len(_events())


def _open_files(folder: Path) -> set[str]:
    """Name the databases below a folder that this process has open."""
    held = {os.path.realpath(each) for each in OPEN_FILES.iterdir()}
    return {each for each in held if each.startswith(str(folder)) and each.endswith(".db")}


class _Counting(BatchedEventLog):
    opened, stored, fails_at = 0, 0, -1

    def conn_string_for_shard(self, shard_name: str) -> str:
        self.opened += 1
        return super().conn_string_for_shard(shard_name)

    def store_event(self, event: dg.EventLogEntry) -> None:
        super().store_event(event)
        self.stored += 1
        if self.stored == self.fails_at:
            raise OSError("full")


def test_the_folder_is_that_of_the_stock_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance that exists goes on with its events."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.get() as instance:
        instance.event_log_storage.store_event(_events()[0])
    (tmp_path / "dagster.yaml").write_bytes((Path(__file__).parents[2] / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, BatchedEventLog)
        assert len(instance.all_logs(RUN)) == 1
