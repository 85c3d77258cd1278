"""Dagster's event log on SQLite, over connections that stay open, and a batch of events at a time.

Named in `dagster.yaml`, the way Dagster takes a storage. What is stored, and how, stays Dagster's own. The stock
storage opens and closes a database for each event; closing the last connection to one makes SQLite fold its log into
it, which takes longer than the event. An event outlives the process that stored it, as with the stock storage; one of
the last moments before the machine itself fails may be lost, as if the run had been killed a little earlier.
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
from sqlalchemy.event import listens_for

EVENTS = ("history", "runs")  # where Dagster keeps events below $DAGSTER_HOME
OPEN_AT_MOST = 4  # databases: the index of all runs, and those of the newest runs


class BatchedEventLog(SqliteEventLogStorage):
    """The stock storage, with connections that stay open and with batches."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}
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

    def dispose(self) -> None:
        """Close the connections."""
        with self._db_lock:
            while self._engines:
                self._close(next(iter(self._engines)))
        super().dispose()

    @contextmanager
    def _holding(self, *shards: str) -> Iterator[None]:
        for shard in shards:
            self._make(shard)
        with ExitStack() as stack, self._db_lock:
            try:
                self._held = {shard: stack.enter_context(self._open(shard).begin()) for shard in shards}
                self._holder = threading.get_ident()
                yield
            finally:
                self._held, self._holder = {}, None

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        if self._holder == threading.get_ident() and shard in self._held:
            yield self._held[shard]
            return
        self._make(shard)
        with self._db_lock, self._open(shard).begin() as connection:
            yield connection

    def _make(self, shard: str) -> None:
        """Make the database if it is not there, or not any more: a wipe takes those of runs away."""
        if shard in self._initialized_dbs and Path(self.path_for_shard(shard)).exists():
            return
        with self._db_lock:
            self._close(shard)
            self._initdb(self._open(shard))
            self._initialized_dbs.add(shard)

    def _open(self, shard: str) -> Engine:
        """Give the connections to a database, and close those that were not used for longest."""
        found = self._engines.pop(shard, None) or _engine(self.conn_string_for_shard(shard))
        self._engines[shard] = found
        while len(self._engines) > OPEN_AT_MOST:
            self._close(next(iter(self._engines)))
        return found

    def _close(self, shard: str) -> None:
        engine = self._engines.pop(shard, None)
        if engine is not None:
            engine.dispose()


def _engine(address: str) -> Engine:
    engine = create_engine(address, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})

    @listens_for(engine, "connect")
    def _skip_waiting_for_the_disk(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")  # as Dagster's own, but before the tables are made
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine
