"""A search: seeded, pruned, bounded, and the same whether or not it was stopped in the middle."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml_platform.contracts.errors import SearchFailed
from ml_platform.contracts.spec import LightGBMModel
from ml_platform.training import studies as studies_module
from ml_platform.training.claims import Owner
from ml_platform.training.executor import Executor, LocalExecutor
from ml_platform.training.search import Outcome, run_search
from ml_platform.training.studies import Studies, Study
from ml_platform.training.trials import Asked, Question, Trial
from ml_platform_tests.training.searches import Formula, Killed, Silent, bowl, model_of, open_study, question_of


@pytest.fixture
def studies(tmp_path: Path) -> Studies:
    """Give an empty database of studies."""
    return Studies(f"sqlite:///{tmp_path / 'studies.db'}")


def _run(study: AbstractContextManager[Study], executor: Formula | None = None, **options: Any) -> Outcome:
    start, again = options.pop("start", None), options.pop("again", False)
    return _ask(question_of(**options), study, executor or Formula(), start, again=again)


def _ask(
    question: Question, study: AbstractContextManager[Study], executor: Executor, start: Any = None, **options: bool
) -> Outcome:
    with study as opened:
        return run_search(question, opened, executor, Silent(), start, **options)


def _told(outcome: Outcome) -> list[Any]:
    return [(each.slot, each.params, each.losses, each.state) for each in outcome.trials]


def test_a_search_finds_the_bottom_of_a_bowl(studies: Studies) -> None:
    """And keeps it for later: with forty trials the best is near, and far better than the first ten are by chance."""
    outcome = _run(open_study(studies), trials=40)
    assert outcome.best.loss == min(each.loss for each in outcome.trials)
    assert outcome.best.params["learning_rate"] == pytest.approx(0.1, abs=0.05)
    assert outcome.best.params["num_leaves"] == pytest.approx(20, abs=5)
    assert outcome.best.loss < min(each.loss for each in outcome.trials[:10])
    [kept] = studies.found("made_up", "gbm", "2020-02-01")
    assert (kept.params, kept.loss, kept.trials) == (outcome.best.params, outcome.best.loss, 40)


def test_equal_seeds_search_equally_and_other_seeds_do_not(studies: Studies) -> None:
    first = _run(open_study(studies))
    assert _told(_run(open_study(studies, digest="again"))) == _told(first)
    question = question_of()
    other = replace(question, model=question.model.model_copy(update={"seed": 8}))
    assert _told(_ask(other, open_study(studies, digest="other"), Formula())) != _told(first)


@pytest.mark.parametrize(("parallel", "dies_at"), [(1, 0), (1, 11), (3, 4)])
def test_a_killed_search_goes_on_and_ends_as_if_it_had_not_been(studies: Studies, parallel: int, dies_at: int) -> None:
    """No finished trial is done twice."""
    undisturbed = _run(open_study(studies, digest="undisturbed"), parallel=parallel)
    with pytest.raises(Killed):
        _run(open_study(studies), Formula(dies_at=dies_at), parallel=parallel)
    executor = Formula()
    outcome = _run(open_study(studies), executor, parallel=parallel)
    assert outcome.resumed == dies_at // parallel * parallel
    assert [each.slot for each in executor.asked] == list(range(outcome.resumed, 12))
    assert _told(outcome) == _told(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("call", ["set_user_attr:asked", "set_user_attr:told", "tell"])
@pytest.mark.parametrize("parallel", [1, 3])
def test_a_search_killed_between_two_writes_ends_the_same(
    studies: Studies, call: str, parallel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just before, and just after, a trial is given its slot, its result and its state.

    By then the sampler looks at the trials before; the first ten are drawn blindly, and would hide a difference.
    """

    def formula(asked: Asked) -> Trial:
        return replace(bowl(asked), state="pruned" if asked.slot % 2 else "complete")

    undisturbed = _run(open_study(studies, digest="undisturbed"), Formula(formula), parallel=parallel)
    for number, is_done_first in enumerate([False, True] * 2):
        with monkeypatch.context() as patched:
            _die_in(patched, call, 10 + number // 2, is_done_first=is_done_first)
            with pytest.raises(Killed):
                _run(open_study(studies, digest=str(number)), Formula(formula), parallel=parallel)
        outcome = _run(open_study(studies, digest=str(number)), Formula(formula), parallel=parallel)
        assert _told(outcome) == _told(undisturbed)


def _die_in(patched: pytest.MonkeyPatch, call: str, at: int, *, is_done_first: bool) -> None:
    """Die in the call of that kind for one trial."""
    import optuna

    name, _, key = call.partition(":")
    owner = optuna.Trial if key else optuna.Study
    real, calls = getattr(owner, name), iter(range(1000))

    def dying(self: Any, *args: Any, **options: Any) -> Any:
        is_it = (not key or args[0] == key) and next(calls) == at
        result = real(self, *args, **options) if is_done_first or not is_it else None
        if is_it:
            raise Killed
        return result

    patched.setattr(owner, name, dying)


def test_a_study_that_a_live_process_runs_is_left_to_it(studies: Studies) -> None:
    """Its owner is asked about by name; once it is gone the study is taken over, and then is the other's."""
    asked: list[str] = []

    def lives(owner: str) -> bool:
        asked.append(owner)
        return False

    with open_study(studies, Owner("host 1 run-a", lives)):
        with pytest.raises(
            SearchFailed, match=r"got a search of it that host 1 run-a runs, expected one run of a study at a time"
        ):
            _run(open_study(studies, Owner("host 2 run-b", lives)))
        assert asked == ["host 1 run-a"]
        with open_study(studies, Owner("host 2 run-b", lambda _: True)):
            pass
    assert len(_run(open_study(studies, Owner("host 3 run-c", lives))).trials) == 12


def test_a_claim_that_was_taken_over_is_not_let_go_by_its_old_owner(studies: Studies) -> None:
    """As by a process that was believed dead and comes back."""
    before = open_study(studies, Owner("host 1 run-a", lambda _: False))
    before.__enter__()
    with open_study(studies, Owner("host 2 run-b", lambda _: True)):
        before.__exit__(None, None, None)
        with pytest.raises(SearchFailed, match="that host 2 run-b runs"):
            _run(open_study(studies, Owner("host 3 run-c", lambda _: False)))


def test_a_trial_of_which_three_processes_died_is_not_tried_again(studies: Studies) -> None:
    """As one that runs out of memory: it fails, with what may be the matter, and the search goes on."""
    for _ in range(3):
        with pytest.raises(Killed):
            _run(open_study(studies), Formula(dies_at=2))
    executor = Formula(dies_at=2)
    outcome = _run(open_study(studies), executor)
    [failed] = [each for each in outcome.trials if each.state == "failed"]
    assert failed.slot == 2
    assert failed.reason.startswith("WorkerLost: processes of trial 3: got 3 that ended without a word, expected one")
    assert len(outcome.trials) == 12
    assert len(executor.asked) == 9


def test_a_trial_of_which_two_processes_died_is_tried_once_more(studies: Studies) -> None:
    undisturbed = _run(open_study(studies, digest="undisturbed"))
    for _ in range(2):
        with pytest.raises(Killed):
            _run(open_study(studies), Formula(dies_at=2))
    assert _told(_run(open_study(studies))) == _told(undisturbed)


def test_a_model_that_says_nothing_of_a_search_is_not_searched(studies: Studies) -> None:
    model = model_of().model_copy(update={"search": None})
    with pytest.raises(SearchFailed, match="got no search, expected one that says how it is searched"):
        _ask(replace(question_of(), model=model), open_study(studies), Formula())


def test_a_trial_that_crashes_is_kept_with_its_reason_and_the_search_goes_on(studies: Studies) -> None:
    def formula(asked: Asked) -> Trial:
        if asked.slot == 2:
            raise ValueError("no leaf\nis left")
        return bowl(asked)

    outcome = _run(open_study(studies), Formula(formula))
    failed = [each for each in outcome.trials if each.state == "failed"]
    assert [(each.slot, each.reason) for each in failed] == [(2, "ValueError: no leaf is left")]
    assert len(outcome.trials) == 12


def test_a_search_without_a_finished_trial_tells_why_and_may_be_tried_again(studies: Studies) -> None:
    """Each reason once, with how often; the next run does not find a study that is spent."""

    def broken(asked: Asked) -> Trial:
        raise ValueError("too dark" if asked.slot else "too late")

    with pytest.raises(
        SearchFailed, match=r"got 4 trials and none that finished \(3 x ValueError: too dark, 1 x Value"
    ):
        _run(open_study(studies), Formula(broken), trials=4)
    assert list(studies.found("made_up", "gbm", "2020-02-01")) == []
    outcome = _run(open_study(studies), trials=4)
    assert (len(outcome.trials), outcome.resumed) == (4, 0)


def test_a_search_whose_every_trial_was_pruned_has_no_result_and_may_be_tried_again(studies: Studies) -> None:
    def pruned(asked: Asked) -> Trial:
        return replace(bowl(asked), state="pruned", reason="fold 1: worse than the median of the trials before")

    with pytest.raises(SearchFailed, match=r"got 4 trials and none that finished \(4 x fold 1: worse than the median"):
        _run(open_study(studies), Formula(pruned), trials=4)
    assert _run(open_study(studies), trials=4).resumed == 0


def test_a_timeout_before_the_first_trial_ended_is_told_and_leaves_nothing(studies: Studies) -> None:
    """Of real fits, which would go on for hours."""
    endless = {"rounds": 100_000, "patience": 100_000, "params": {"min_data_in_leaf": 5, "num_threads": 1}}
    question = _real(endless, {"num_leaves": {"low": 200, "high": 300}}, timeout=timedelta(seconds=1))
    with pytest.raises(
        SearchFailed,
        match=r"got 1 trials and none that finished \(1 x fold 1: the timeout came\).* allow a longer timeout",
    ):
        _ask(question, open_study(studies), LocalExecutor())
    assert list(studies.found("made_up", "gbm", "2020-02-01")) == []


def test_combinations_that_a_library_refuses_fail_their_trials_and_no_others(studies: Studies) -> None:
    """Random forests need bagging; what LightGBM says of them is told."""
    space = {"boosting": {"choices": ["gbdt", "rf"]}, "num_leaves": {"low": 2, "high": 9}}
    question = _real({"rounds": 5, "params": {"min_data_in_leaf": 5}}, space, trials=8)
    outcome = _ask(question, open_study(studies), LocalExecutor())
    told = {(each.params["boosting"], each.state, each.reason.split(":")[0]) for each in outcome.trials}
    assert told == {("gbdt", "complete", ""), ("rf", "failed", "LightGBMError")}
    alone = _real({"rounds": 5, "params": {"boosting": "rf"}}, {"num_leaves": {"low": 2, "high": 9}}, trials=2)
    with pytest.raises(SearchFailed, match=r"none that finished \(2 x LightGBMError: .*bagging"):
        _ask(alone, open_study(studies, digest="alone"), LocalExecutor())


def _real(model: dict[str, Any], space: dict[str, Any], **search: Any) -> Question:
    """Give a question with rows."""
    rng = np.random.default_rng(0)
    x, part = rng.normal(size=3000), np.repeat(["train", "validation"], [2000, 1000])
    rows = pl.DataFrame({"x": x, "label": x + rng.normal(size=3000) > 0, "part": part, "day": "2020-01-01"})
    searched = {"kind": "lightgbm", "search": {"trials": 3, "space": space, **search}, **model}
    return Question((rows,), ["x"], LightGBMModel.model_validate(searched), "binary")


def test_a_pruned_trial_never_wins(studies: Studies) -> None:
    def formula(asked: Asked) -> Trial:
        trial = bowl(asked)
        return replace(trial, state="pruned", losses=(0.0,)) if asked.slot == 5 else trial

    outcome = _run(open_study(studies), Formula(formula))
    assert outcome.best.slot != 5
    assert outcome.trials[5].state == "pruned"


def test_trials_are_pruned_by_the_median_of_complete_ones_once_there_are_five(studies: Studies) -> None:
    """The bar after a fold is the median of the means up to it; the last fold has none."""

    def formula(asked: Asked) -> Trial:
        return replace(bowl(asked), losses=(float(asked.slot), 10.0, 0.0))

    executor = Formula(formula)
    _run(open_study(studies), executor, folds=3, trials=7)
    assert [each.bars for each in executor.asked] == [()] * 5 + [(2.0, 6.0), (2.5, 6.25)]
    executor = Formula(formula)
    _run(open_study(studies, digest="unpruned"), executor, folds=3, trials=7, pruning=False)
    assert {each.bars for each in executor.asked} == {()}


def test_a_new_study_starts_from_what_it_is_given_and_keeps_that(studies: Studies) -> None:
    """Also if it is killed at once, and another start is at hand when it goes on."""
    start = {"learning_rate": 0.11, "num_leaves": 21}
    with pytest.raises(Killed):
        _run(open_study(studies), Formula(dies_at=0), start=start)
    outcome = _run(open_study(studies), start={"learning_rate": 0.4, "num_leaves": 4})
    assert outcome.trials[0].params == outcome.start == start


def test_more_trials_go_on_with_the_same_study_and_fewer_look_at_the_first(studies: Studies) -> None:
    few = _run(open_study(studies), trials=6)
    executor = Formula()
    more = _run(open_study(studies), executor, trials=12)
    assert [each.slot for each in executor.asked] == list(range(6, 12))
    assert _told(more) == _told(_run(open_study(studies, digest="at once"), trials=12))
    assert _told(_run(open_study(studies), trials=6)) == _told(few)


def test_the_timeout_ends_a_search_with_the_best_so_far(studies: Studies, monkeypatch: pytest.MonkeyPatch) -> None:
    """No trial begins after it; it counts as finished, unless it is asked to go on."""
    clock = _Clock()
    monkeypatch.setattr("ml_platform.training.search.time.monotonic", clock)
    executor = Formula(lambda asked: clock.after(25.0, bowl(asked)))
    outcome = _run(open_study(studies), executor, timeout="1m")
    assert len(outcome.trials) == 3
    assert [each.seconds for each in executor.asked] == [60.0, 35.0, 10.0]
    assert len(_run(open_study(studies), executor, timeout="1m").trials) == 3
    assert len(_run(open_study(studies), executor, timeout="1m", again=True).trials) == 6


class _Clock:
    """Stands still unless told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def after(self, seconds: float, trial: Trial) -> Trial:
        self.now += seconds
        return trial


def test_a_database_that_cannot_be_used_is_named_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SearchFailed, match=r"studies at sqlite:///.*expected a database that can be read and written"):
        _run(open_study(Studies(f"sqlite:///{tmp_path}/file/studies.db?timeout=0")))
    studies_of = Studies("postgresql+psycopg://me:hunter2@127.0.0.1:9/x?connect_timeout=1")
    with pytest.raises(SearchFailed, match=r"studies at postgresql\+psycopg://me:\*\*\*@127\.0\.0\.1:9/x") as caught:
        list(studies_of.found("made_up", "gbm", "2020-02-01"))
    assert "hunter2" not in str(caught.value)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Restore what a study sets for the process."""
    import optuna

    before = optuna.logging.get_verbosity()
    yield
    optuna.logging.set_verbosity(before)
    assert studies_module.BUSY_TIMEOUT_S
