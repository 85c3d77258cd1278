"""Events stored together are those that Dagster would have stored one by one, or none of them."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
from dagster._core.storage.event_log import SqliteEventLogStorage

from ml_platform.orchestration.event_log import BatchedEventLog
from ml_platform_tests.pipelines.marks import DAGSTER

pytestmark = DAGSTER

KEY, CHECK, RUN = dg.AssetKey(["tiny", "raw"]), "rows_at_least_1", "00000000-0000-0000-0000-000000000001"
KEYS = ["a", "b", "c"]


def _entry(kind: DagsterEventType, data: Any) -> dg.EventLogEntry:
    event = DagsterEvent(kind.value, "job", event_specific_data=data, message="said")
    return dg.EventLogEntry(None, 10, "", RUN, 1_600_000_000.0, "step", "job", event)


def _events() -> list[dg.EventLogEntry]:
    made = [
        StepMaterializationData(
            dg.AssetMaterialization(
                KEY, partition=key, metadata={"rows": 1}, tags={"dagster/data_version": f"of {key}"}
            )
        )
        for key in KEYS
    ]
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


def test_a_batch_opens_as_many_databases_however_long_it_is(tmp_path: Path) -> None:
    """One connection, and one transaction, for the run and one for all runs."""
    storage = _Counting(str(tmp_path))
    storage.store_event_batch(_events())
    opened = []
    for times in (1, 10):
        storage.opened = 0
        storage.store_event_batch(_events() * times)
        opened.append(storage.opened)
    assert opened == [4, 4]  # each once more, to see that it is there


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
