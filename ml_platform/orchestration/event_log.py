"""Dagster's event log on SQLite, a batch of events at a time: one transaction instead of one or more for each event.

Named in `dagster.yaml`, the way Dagster takes a storage. What is stored, and how, stays Dagster's own; only the
connections are held open while a batch is stored, where the stock storage opens new ones for each event.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dagster import EventLogEntry, StringSource
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

EVENTS = ("history", "runs")  # where Dagster keeps events below $DAGSTER_HOME


class BatchedEventLog(SqliteEventLogStorage):
    """The stock storage, with batches."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._held: dict[str, Connection] = {}
        self._holder: int | None = None
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Take the folder of the Dagster instance, as `home`."""
        return {"home": StringSource}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "BatchedEventLog":
        """Open the storage in the instance's folder, where the stock one has it too."""
        return cls(str(Path(config_value["home"], *EVENTS)), inst_data)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events together; if that fails none is stored, and Dagster stores them one by one."""
        [run_id] = {event.run_id for event in events}
        with self._holding(run_id, INDEX_SHARD_NAME):
            for event in events:
                self.store_event(event)

    def has_table(self, table_name: str) -> bool:
        """Tell whether there is a table; one that was seen is there for good."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    @contextmanager
    def _holding(self, *shards: str) -> Iterator[None]:
        for shard in shards:
            with super()._connect(shard):  # makes the database, if it is not there
                pass
        with ExitStack() as stack, self._db_lock:
            try:
                self._held = {shard: stack.enter_context(self._open(shard).begin()) for shard in shards}
                self._holder = threading.get_ident()
                yield
            finally:
                self._held, self._holder = {}, None

    def _open(self, shard: str) -> Engine:
        address, wait = self.conn_string_for_shard(shard), {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
        return create_engine(address, poolclass=NullPool, connect_args=wait)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        if self._holder == threading.get_ident() and shard in self._held:
            yield self._held[shard]
            return
        with super()._connect(shard) as connection:
            yield connection
