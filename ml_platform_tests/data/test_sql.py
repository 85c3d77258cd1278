"""SQL sources: the window is asked for in the database's own terms; a database that fails says so without secrets."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from ml_platform.contracts.errors import SchemaMismatch, SourceUnreadable
from ml_platform.contracts.spec import SqlSource
from ml_platform.data.sources import sql
from ml_platform.data.sources.casting import TextRules
from ml_platform.data.sources.expressions import Expressions
from ml_platform.data.sources.loaded import Loaded, Target
from ml_platform.data.sources.shaping import Shaper
from ml_platform.data.sources.sql import SqlReader
from ml_platform_tests.data.sources import DAYS, target
from ml_platform_tests.pipelines.postgres import Postgres, postgres

__all__ = ["postgres"]
QUERY = "SELECT * FROM rides WHERE at >= :start AND at < :end ORDER BY id"
NEW_YORK = "America/New_York"


def _reader(url: str, query: str = QUERY, to: Target | None = None, **source: Any) -> SqlReader:
    spec = SqlSource(kind="sql", url_env="RIDES_URL", query=query, **source)
    to = to or target()
    rules = TextRules(spec.timezone or to.calendar.partitions.timezone, nulls=())
    return SqlReader(spec, lambda: url, Shaper(to, Expressions(spec.derive, spec.where), rules))


def _sqlite(folder: Path, *rows: tuple[object, ...], columns: str = "id, at, fare, seats") -> str:
    with closing(sqlite3.connect(folder / "rides.db")) as database, database:
        database.execute(f"CREATE TABLE rides ({columns})")
        database.executemany(f"INSERT INTO rides VALUES ({', '.join('?' * len(columns.split(',')))})", rows)  # noqa: S608
    return f"sqlite:///{folder}/rides.db"


def _ids(loaded: Loaded) -> list[tuple[str, str]]:
    return loaded.rows.select("id", "partition").rows()


def test_sqlite_gives_the_rows_of_the_window(tmp_path: Path) -> None:
    """Its times are text: the edges of a day are found as the source's zone has them."""
    url = _sqlite(
        tmp_path,
        ("before", "2012-12-31 23:59:59", 1, 1),
        ("first", "2013-01-01 00:00:00", 1.5, 1),
        ("parts", "2013-01-01 00:00:00.000", 2, 2),
        ("day", "2013-01-01", 2, 2),
        ("T", "2013-01-01T00:00:00", 2, 2),
        ("last", "2013-01-02 23:59:59.999", None, 3),
        ("after", "2013-01-03 00:00:00", 1, 1),
    )
    loaded = _reader(url).load(DAYS[:2])
    assert sorted(_ids(loaded)) == [
        ("T", DAYS[0]), ("day", DAYS[0]), ("first", DAYS[0]), ("last", DAYS[1]), ("parts", DAYS[0]),
    ]  # fmt: skip
    assert loaded.rows.schema["fare"].is_float()
    assert loaded.rejected.is_empty()
    [(origin, rows)] = loaded.origins.items()
    assert (origin[:6], origin[18:], rows) == ("query ", " of $RIDES_URL", 5)


@pytest.mark.parametrize(
    ("zone", "stored"),
    [("UTC", "2013-01-01 05:00:00"), (NEW_YORK, "2013-01-01 00:00:00"), (None, "2013-01-01 00:00:00")],
)
def test_times_without_a_zone_are_in_the_sources(tmp_path: Path, zone: str | None, stored: str) -> None:
    """Or the pipeline's; the bound that is asked with is in the same one."""
    url = _sqlite(tmp_path, ("x", stored, 1, 1))
    loaded = _reader(url, to=target(timezone=NEW_YORK), timezone=zone).load(DAYS[:1])
    assert loaded.rows["at"].to_list() == [datetime(2013, 1, 1, 5, tzinfo=UTC)]


def test_a_row_that_cannot_be_read_is_rejected_by_its_number(tmp_path: Path) -> None:
    """SQLite keeps any value in any column."""
    url = _sqlite(
        tmp_path, *(("x", "2013-01-01", fare, seats) for fare, seats in [(1, 1), ("abc", 2), (2, None), ("2.5", 4.0)])
    )
    loaded = _reader(url).load(DAYS[:1])
    assert loaded.rows.select("fare", "seats").rows() == [(1.0, 1), (2.5, 4)]
    name = next(iter(loaded.origins))
    assert loaded.rejected.select("origin", "reason").rows() == [
        (f"{name}:2", "fare: 'abc' is not float64"),
        (f"{name}:3", "seats: no value"),
    ]


def test_rows_that_were_not_asked_for_are_rejected(tmp_path: Path) -> None:
    """A query that forgets its bounds is found out, and no row is dropped unseen."""
    url = _sqlite(tmp_path, ("x", "2013-01-01", 1, 1), ("y", "2013-01-02", 1, 1))
    loaded = _reader(url, "SELECT * FROM rides WHERE :start < :end").load(DAYS[:1])
    assert _ids(loaded) == [("x", DAYS[0])]
    assert loaded.rejected["reason"].to_list() == ["at: in partition 2013-01-02, not one of those asked for"]


def test_a_query_writes_nothing(tmp_path: Path) -> None:
    url = _sqlite(tmp_path, ("x", "2013-01-01", 1, 1))
    with pytest.raises(SourceUnreadable, match="attempt to write a readonly database"):
        _reader(url, "DELETE FROM rides WHERE at >= :start AND at < :end RETURNING *").load(DAYS)
    assert _ids(_reader(url).load(DAYS)) == [("x", DAYS[0])]


def test_chunks_are_rows_of_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each chunk's types are its own; rows are numbered through, and expressions see them."""
    monkeypatch.setattr(sql, "ROWS_AT_ONCE", 2)
    url = _sqlite(tmp_path, *((str(n), "2013-01-01", fare, n) for n, fare in enumerate([1, 2, 2.5, None, "x", 4])))
    loaded = _reader(url, derive={"fare": "fare * 2"}, where="seats <> 1").load(DAYS)
    assert loaded.rows.select("id", "fare").rows() == [("0", 2.0), ("2", 5.0), ("3", None), ("5", 8.0)]
    assert [each.rpartition(":")[2] for each in loaded.rejected["origin"]] == ["5"]


def test_columns(tmp_path: Path) -> None:
    """What is missing, named twice or no value at all is said; what is not needed is noted."""
    url = _sqlite(tmp_path, ("x", "2013-01-01", 1, 1, b"picture"), columns="id, at, fare, seats, photo")
    assert _reader(url).load(DAYS).notes[0].endswith("of $RIDES_URL: photo")
    bounds = "FROM rides WHERE at >= :start AND at < :end"
    with pytest.raises(SchemaMismatch, match=r"of \$RIDES_URL: missing columns: got id, at, expected fare, seats"):
        _reader(url, f"SELECT id, at {bounds}").load(DAYS)
    with pytest.raises(SchemaMismatch, match=r"got columns named twice: id, .* Hint: name them apart with AS"):
        _reader(url, f"SELECT *, id {bounds}").load(DAYS)
    with pytest.raises(SchemaMismatch, match=r"source\.query: fare: got bytes"):
        _reader(url, f"SELECT id, at, photo AS fare, seats {bounds}").load(DAYS)
    assert _reader(url).load(DAYS[1:]).rows.is_empty()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("no url with s3cret", r"\$RIDES_URL: got no URL that SQLAlchemy can read, .*not shown here"),
        (
            "nosuch://me:s3cret@localhost/db",
            r"\$RIDES_URL \(nosuch://me:\*\*\*@localhost/db\): .*nosuch.* driver.*pip install",
        ),
        (
            "sqlite:////nowhere/at/all.db",
            r"\$RIDES_URL \(sqlite:////nowhere/at/all\.db\): got OperationalError: unable to open",
        ),
        (
            "postgresql://me:s3cret@127.0.0.1:1/db",
            r"\$RIDES_URL \(postgresql\+psycopg://me:\*\*\*@127.0.0.1:1/db\): got Oper",
        ),
    ],
)
def test_a_database_that_is_not_there(url: str, said: str) -> None:
    """The variable is named, and the password nowhere told."""
    with pytest.raises(SourceUnreadable, match=said) as caught:
        _reader(url).load(DAYS)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_wrong_query_says_what_the_database_says(tmp_path: Path) -> None:
    with pytest.raises(
        SourceUnreadable, match=r"got OperationalError: no such table: drives, expected the rows of source\.query"
    ):
        _reader(_sqlite(tmp_path), QUERY.replace("rides", "drives")).load(DAYS)


@pytest.fixture
def rides(postgres: Postgres) -> Iterator[Engine]:
    """Give a PostgreSQL database with rides of three days, one each hour in New York, in columns of every kind."""
    engine = create_engine(postgres.url().replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS rides"))
        connection.execute(
            text(
                "CREATE TABLE rides AS SELECT 'r' || n AS id, at, at AT TIME ZONE 'America/New_York' AS local_at, "
                "at AT TIME ZONE 'UTC' AS utc_at, (n / 4.0)::numeric AS fare, n::int AS seats, "
                "gen_random_uuid() AS trip, jsonb_build_object('n', n) AS more FROM generate_series(0, 71) n, "
                "LATERAL (SELECT timestamptz '2013-01-01 00:00 America/New_York' + n * interval '1 hour') t(at)"
            )
        )
    yield engine
    engine.dispose()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("column", "zone"),
    [("at", None), ("at", "Asia/Tokyo"), ("local_at", None), ("local_at", NEW_YORK), ("utc_at", "UTC")],
)
def test_postgresql_gives_the_rows_of_the_window(
    postgres: Postgres, rides: Engine, column: str, zone: str | None
) -> None:
    """Whatever zone its server and its columns are in."""
    assert rides is not None
    query = (
        f"SELECT id, {column} AS at, fare, seats FROM rides WHERE {column} >= :start AND {column} < :end ORDER BY seats"  # noqa: S608
    )
    loaded = _reader(postgres.url(), query, target(timezone=NEW_YORK), timezone=zone).load(DAYS[1:2])
    assert loaded.rows["seats"].to_list() == list(range(24, 48))
    assert loaded.rows["at"][0] == datetime(2013, 1, 2, 5, tzinfo=UTC)
    assert loaded.rows["fare"][:2].to_list() == [6.0, 6.25]
    assert loaded.rejected.is_empty()


@pytest.mark.slow
def test_postgresql_is_only_read(postgres: Postgres, rides: Engine) -> None:
    with rides.begin() as connection:
        connection.execute(text("CREATE SEQUENCE IF NOT EXISTS calls"))
    with pytest.raises(SourceUnreadable, match=r"cannot execute nextval\(\) in a read-only transaction"):
        _reader(postgres.url(), QUERY.replace("*", "*, nextval('calls')")).load(DAYS)


@pytest.mark.slow
def test_a_wrong_password_is_told_without_it(postgres: Postgres) -> None:
    with pytest.raises(
        SourceUnreadable, match=r"password authentication failed.* Hint: see that .* user and password"
    ) as caught:
        _reader(postgres.url("wrong pass")).load(DAYS)
    assert "wrong pass" not in str(caught.value)
    assert "wrong%20pass" not in str(caught.value)


@pytest.mark.slow
def test_a_database_that_goes_away_while_it_is_read(
    postgres: Postgres, rides: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is told, gives no half of its rows, and is read when it is back."""
    query = (
        "SELECT rides.*, repeat('x', 1000) AS pad FROM rides, generate_series(1, 2000) WHERE at >= :start AND at < :end"
    )
    reader = _reader(postgres.url(), query, target(timezone=NEW_YORK))
    shape = Shaper.shape
    seen: list[int] = []

    def shape_then_kill(self: Shaper, what: str, frame: Any) -> Any:
        seen.append(len(frame))
        _terminate_others(rides)
        return shape(self, what, frame)

    monkeypatch.setattr(sql, "ROWS_AT_ONCE", 1000)
    with monkeypatch.context() as patched:
        patched.setattr(Shaper, "shape", shape_then_kill)
        with pytest.raises(
            SourceUnreadable, match=r"\$RIDES_URL \(.*\*\*\*.*got .*(terminat|closed|lost).* Hint: see that the"
        ):
            reader.load(DAYS)
    assert sum(seen) < 144_000
    assert len(reader.load(DAYS).rows) == 144_000


def _terminate_others(engine: Engine) -> None:
    with engine.begin() as connection:
        others = "pid <> pg_backend_pid() AND backend_type = 'client backend'"
        connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))  # noqa: S608
