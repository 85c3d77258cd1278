"""Who runs a study now: one row for each, so that two runs never search the same one, however close they begin."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from ml_platform.contracts.errors import SearchFailed

_METADATA = sa.MetaData()
_CLAIMS = sa.Table(
    "study_claims",
    _METADATA,
    sa.Column("study", sa.String(512), primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
)


@dataclass(frozen=True)
class Owner:
    """Who runs a search now, and how to tell whether another one that ran it before is gone."""

    name: str
    is_dead: Callable[[str], bool]


@contextmanager
def claimed(engine: sa.Engine, study: str, owner: Owner) -> Iterator[None]:
    """Hold a study for as long as the context lasts; a claim that a dead run left is taken over.

    Raises
    ------
    SearchFailed
        If a run that is alive holds it.
    """
    _make_table(engine)
    _take(engine, study, owner)
    ours = _CLAIMS.delete().where(_CLAIMS.c.study == study, _CLAIMS.c.owner == owner.name)
    try:
        yield
    finally:
        # Without the database the claim stays, as that of a run that has ended.
        with suppress(DBAPIError), engine.begin() as connection:
            connection.execute(ours)


def _take(engine: sa.Engine, study: str, owner: Owner) -> None:
    try:
        with engine.begin() as connection:
            connection.execute(_CLAIMS.insert().values(study=study, owner=owner.name))
    except IntegrityError:
        _take_over(engine, study, owner)


def _take_over(engine: sa.Engine, study: str, owner: Owner) -> None:
    """Change the row of a dead owner; whoever changes it first has it."""
    with engine.connect() as connection:
        holder = connection.scalar(sa.select(_CLAIMS.c.owner).where(_CLAIMS.c.study == study))
    if holder is None:
        return _take(engine, study, owner)  # it was just let go
    if owner.is_dead(holder):
        theirs = _CLAIMS.update().where(_CLAIMS.c.study == study, _CLAIMS.c.owner == holder)
        with engine.begin() as connection:
            if connection.execute(theirs.values(owner=owner.name)).rowcount:
                return None
    raise SearchFailed.because(
        f"study {study}", got=f"a search of it that {holder} runs", expected="one run of a study at a time",
        hint="wait for that run to end, or cancel it, and launch this one again",
    )  # fmt: skip


def _make_table(engine: sa.Engine) -> None:
    try:
        with engine.begin() as connection:
            connection.execute(sa.schema.CreateTable(_CLAIMS, if_not_exists=True))
    except (IntegrityError, ProgrammingError):
        # PostgreSQL lets two processes past IF NOT EXISTS and fails the slower one.
        if not sa.inspect(engine).has_table(_CLAIMS.name):
            raise
