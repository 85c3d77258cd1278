"""Studies in PostgreSQL: gone on with after a kill, searched by one process at a time, and their password kept."""

import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ml_platform.contracts.errors import SearchFailed
from ml_platform.training.claims import Owner
from ml_platform.training.search import Outcome, run_search
from ml_platform.training.studies import Studies
from ml_platform.training.trials import Asked, Trial
from ml_platform_tests.pipelines.postgres import PASSWORD, Postgres, postgres
from ml_platform_tests.training.searches import ME, Formula, Silent, bowl, open_study, question_of

__all__ = ["postgres"]

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
WRONG = "battery staple"


@pytest.fixture
def url(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give an empty database."""
    name = f"studies_{abs(hash(request.node.name))}"
    engine = sa.create_engine(postgres.url(), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield postgres.url().removesuffix("postgres") + name
    engine.dispose()


def _search(url: str, owner: Owner = ME, formula: Formula | None = None, **options: Any) -> Outcome:
    start, as_of = options.pop("start", None), options.pop("as_of", "2020-02-01")
    with open_study(Studies(url), owner, as_of=as_of) as study:
        return run_search(question_of(**options), study, formula or Formula(), Silent(), start)


def _told(outcome: Outcome) -> list[Any]:
    return [(each.slot, each.params, each.losses, each.state) for each in outcome.trials]


def _process(url: str, *dies_at: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-W", "ignore", "-m", "ml_platform_tests.training.search_process", url, *dies_at]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe, stderr=pipe)


def _send(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def _hear(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_search_whose_process_was_killed_goes_on_in_another(url: str, tmp_path: Path) -> None:
    """And ends as one that nobody killed, in whatever database."""
    killed = _process(url, "4")
    assert _hear(killed) == "ready"
    _send(killed)
    killed.communicate(timeout=120)
    assert killed.returncode == -9
    executor = Formula()
    outcome = _search(url, formula=executor)
    assert outcome.resumed == 4
    assert [each.slot for each in executor.asked] == list(range(4, 12))
    assert _told(outcome) == _told(_search(f"sqlite:///{tmp_path}/studies.db"))


def test_of_two_processes_that_begin_at_once_one_searches_and_one_is_refused(url: str) -> None:
    """On a database where no table is yet. When the first is done the other finds all its trials."""
    _begin_at_once(url)


def test_two_processes_that_begin_at_once_on_a_new_file_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    """As two members of an ensemble that are searched beside each other, the first time of all."""
    _begin_at_once(f"sqlite:///{tmp_path / 'studies.db'}")


def _begin_at_once(url: str) -> None:
    both = [_process(url) for _ in range(2)]
    assert [_hear(each) for each in both] == ["ready"] * 2
    for each in both:
        _send(each)
    lines = [_hear(each) for each in both]
    heard = {line.partition(":")[0]: each for line, each in zip(lines, both, strict=True)}
    assert heard.keys() == {"searching", "refused"}, lines
    assert f"got a search of it that {heard['searching'].pid} runs" in "".join(lines)
    _send(heard["searching"])
    said, _ = heard["searching"].communicate(timeout=120)
    assert said.strip().endswith("of 12, 0 resumed")
    heard["refused"].communicate(timeout=120)
    executor = Formula()
    assert _search(url, formula=executor).resumed == 12
    assert executor.asked == []


def test_a_refused_process_names_the_one_that_searches(url: str) -> None:
    told = r"a search of it that host 1 run-a runs, expected one run of a study at a time"
    holding = open_study(Studies(url), Owner("host 1 run-a", lambda _: False))
    with holding, pytest.raises(SearchFailed, match=told):
        _search(url, Owner("host 2 run-b", lambda _: False))


def test_a_later_study_begins_with_what_the_last_one_found(url: str) -> None:
    first = _search(url, as_of="2020-02-01")
    [best] = Studies(url).found("made_up", "gbm", "2020-03-01")
    assert best.params == first.best.params
    later = _search(url, as_of="2020-03-01", start=best.params)
    assert later.trials[0].params == best.params
    assert [each.as_of for each in Studies(url).found("made_up", "gbm", "2020-03-01")] == ["2020-03-01", "2020-02-01"]


def test_trials_of_a_batch_that_ran_in_parallel_are_kept(url: str, tmp_path: Path) -> None:
    outcome = _search(url, parallel=3)
    assert _told(outcome) == _told(_search(f"sqlite:///{tmp_path}/studies.db", parallel=3))


def test_a_database_that_fails_in_the_middle_is_told_without_its_password(url: str) -> None:
    """Nothing of it is in the whole trail of causes either."""

    def formula(asked: Asked) -> Trial:
        if asked.slot == 3:
            with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
                connection.exec_driver_sql("ALTER TABLE trials RENAME TO gone")
        return bowl(asked)

    with pytest.raises(SearchFailed, match=r"studies at postgresql://suite:\*\*\*@127.0.0.1:.*got Storage") as caught:
        _search(url, formula=Formula(formula))
    told = "".join(traceback.format_exception(caught.value))
    assert "StorageInternalError" in told
    assert PASSWORD.split(" ")[0] not in told


def test_a_wrong_password_is_told_and_not_shown(postgres: Postgres) -> None:
    with pytest.raises(SearchFailed, match=r"studies at postgresql://suite:\*\*\*@.*got OperationalError") as caught:
        _search(postgres.url(WRONG))
    told = "".join(traceback.format_exception(caught.value))
    assert WRONG.split(" ")[0] not in told
    assert 'password authentication failed for user "suite"' in told  # psycopg's own words, among the causes
