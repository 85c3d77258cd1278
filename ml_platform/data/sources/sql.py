"""The source `sql`: a query with `:start` and `:end`, read in chunks from whatever database SQLAlchemy can reach.

The bounds are instants. PostgreSQL gets them with their zone, and its session's zone is the source's, so that columns
without a zone compare as they are meant. Other databases get the wall clock of the source's zone; SQLite has no times,
only text, and gets `YYYY-MM-DD`, with ` HH:MM:SS` after it where that is not midnight.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from ml_platform.contracts.errors import SchemaMismatch, SourceUnreadable, examples
from ml_platform.contracts.spec import SqlSource
from ml_platform.data.sources.gathering import Gathering, Place
from ml_platform.data.sources.loaded import Loaded
from ml_platform.data.sources.shaping import PLACE, Shaped, Shaper

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, CursorResult, Engine

ROWS_AT_ONCE = 50_000
SECONDS_TO_CONNECT = 10
DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_PLAIN = (int, float, str, bool, datetime, date)


@dataclass(frozen=True)
class SqlReader:
    """A source of rows in a database.

    Parameters
    ----------
    source : SqlSource
        As the author wrote it.
    url : function
        Gives the database's URL; called when rows are asked for, not before.
    shaper : Shaper
        What becomes of the columns.
    """

    source: SqlSource
    url: Callable[[], str]
    shaper: Shaper

    @property
    def name(self) -> str:
        """What errors and origins call the query."""
        return f"query {hashlib.sha256(self.source.query.encode()).hexdigest()[:12]} of ${self.source.url_env}"

    def load(self, keys: Sequence[str]) -> Loaded:
        """Give the rows of a contiguous run of partitions; see `Reader`."""
        gathering = Gathering(self.shaper.target, keys)
        place = Place(self.name, frozenset(keys).__contains__, "not one of those asked for", keys[0])
        url = self._url()
        with (
            self._edge(url),
            self._engine(url).connect() as connection,
            closing(self._run(connection, keys)) as result,
        ):
            names = list(result.keys())
            self._refuse_twice(names)
            self.shaper.require(self.name, names)
            gathering.ignore(self.name, [name for name in names if name not in self.shaper.reads])
            gathering.add(place, self._shaped(result, names))
        return gathering.loaded()

    def sample(self, keys: Sequence[str], rows_at_most: int) -> pl.DataFrame:
        """Give rows of some partitions as the database has them, before there is a schema."""
        url = self._url()
        with self._edge(url), self._engine(url).connect() as connection:
            result = self._run(connection, keys)
            names, rows = list(result.keys()), result.fetchmany(rows_at_most)
        self._refuse_twice(names)
        return pl.DataFrame([_series(name, [row[place] for row in rows]) for place, name in enumerate(names)])

    def _run(self, connection: "Connection", keys: Sequence[str]) -> "CursorResult[Any]":
        from sqlalchemy import text

        window = self.shaper.target.calendar.window(keys)
        zone = self.shaper.rules.zone
        bounds: dict[str, Any] = {"start": window.start, "end": window.end}
        if connection.dialect.name == "postgresql":
            connection.scalar(text("SELECT set_config('TimeZone', :zone, false)"), {"zone": zone})
        else:
            bounds = {name: at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for name, at in bounds.items()}
        if connection.dialect.name == "sqlite":
            connection.execute(text("PRAGMA query_only = ON"))
            bounds = {name: _sqlite_text(at) for name, at in bounds.items()}
        options = {"stream_results": True, "max_row_buffer": ROWS_AT_ONCE}
        return connection.execute(text(self.source.query), bounds, execution_options=options)

    def _shaped(self, result: "CursorResult[Any]", names: Sequence[str]) -> Iterator[Shaped]:
        shaper, row = None, 1
        for rows in result.partitions(ROWS_AT_ONCE):
            columns = dict(zip(names, zip(*rows, strict=True), strict=True))
            frame = pl.DataFrame([_series(name, columns[name]) for name in self.shaper.reads])
            frame = frame.with_columns(pl.int_range(row, row + len(frame), dtype=pl.Int64).alias(PLACE))
            row += len(frame)
            shaper = shaper or self.shaper.guess(frame)
            yield shaper.shape(self.name, frame)

    def _url(self) -> "URL":
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(self.url())
        except ArgumentError:
            raise SourceUnreadable.because(
                f"${self.source.url_env}", got="no URL that SQLAlchemy can read",
                expected="one like postgresql://user:password@host/database",
                hint="mend the variable; it is not shown here, as it may hold a password",
            ) from None  # fmt: skip
        return url.set(drivername=DRIVERS.get(url.drivername, url.drivername))

    def _engine(self, url: "URL") -> "Engine":
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        is_postgres = url.get_backend_name() == "postgresql"
        waits = {"connect_timeout": SECONDS_TO_CONNECT} if is_postgres and "connect_timeout" not in url.query else {}
        engine = create_engine(url, poolclass=NullPool, connect_args=waits)
        return engine.execution_options(postgresql_readonly=True) if is_postgres else engine

    def _refuse_twice(self, names: Sequence[str]) -> None:
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise SchemaMismatch.because(
                self.name, got=f"columns named twice: {examples(twice)}", expected="each name once",
                hint="name them apart with AS",
            )  # fmt: skip

    @contextmanager
    def _edge(self, url: "URL") -> Iterator[None]:
        from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError

        where = f"${self.source.url_env} ({url.render_as_string(hide_password=True)})"
        try:
            yield
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            raise SourceUnreadable.because(
                where, got=str(error), expected="the database's driver",
                hint="pip install 'ml-platform[postgres]', or the driver of another database",
            ) from None  # fmt: skip
        except SQLAlchemyError as error:
            said = str(error.orig if isinstance(error, DBAPIError) else error).strip()
            if url.password:
                said = said.replace(str(url.password), "***")
            raise SourceUnreadable.because(
                where, got=f"{type(error).__name__}: {' '.join(said.split())}", expected="the rows of source.query",
                hint="see that the database runs, that user and password are right, and that the query is its SQL",
            ) from None  # fmt: skip


def _series(name: str, values: Sequence[Any]) -> pl.Series:
    """Give a column of what a driver gave: one type where it is one, and text where it is several."""
    kinds = {type(value) for value in values} - {type(None)}
    if kinds & {bytes, bytearray, memoryview}:
        raise SchemaMismatch.because(
            f"source.query: {name}", got="bytes", expected="numbers, text, times or true and false",
            hint="convert it in the query",
        )  # fmt: skip
    if not kinds:
        return pl.Series(name, values, pl.Null)
    if len(kinds) == 1 and kinds <= set(_PLAIN):
        return pl.Series(name, values, strict=True)
    if kinds <= {int, float}:
        return pl.Series(name, values, pl.Float64, strict=False)
    return pl.Series(name, [None if value is None else _text(value) for value in values], pl.String)


def _sqlite_text(at: datetime) -> str:
    """Write a bound so that it sorts before every way to write its instant: a bare day sorts before its first hour."""
    return at.date().isoformat() if at.time() == time() else at.isoformat(" ", "seconds")


def _text(value: object) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value)
    return value.isoformat() if isinstance(value, date) else str(value)
