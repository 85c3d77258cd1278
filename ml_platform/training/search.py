"""Search: which parameters of a model make the loss on the folds smallest, asked trial by trial of a seeded sampler.

What is tried next depends on the seed, the slot and the trials before, not on the process: a search that was stopped
and goes on ends like one that was not, as long as no timeout cut either of them.
"""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

from ml_platform.contracts.errors import SearchFailed, WorkerLost, examples
from ml_platform.contracts.spec import Search
from ml_platform.training.executor import Executor, Failure, LocalExecutor
from ml_platform.training.space import distributions
from ml_platform.training.studies import Study
from ml_platform.training.threads import threads_of_a_fit
from ml_platform.training.trials import Asked, Question, Trial, lost, try_parameters

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

MEDIAN_OF_AT_LEAST = 5  # complete trials, before any is pruned
DIES_AT_MOST = 3  # times that a process may die of a trial
THREADS = {"lightgbm": "num_threads", "xgboost": "nthread"}


@dataclass(frozen=True)
class Outcome:
    """What a search came to.

    Parameters
    ----------
    best : Trial
        The complete trial with the least loss.
    trials : tuple of Trial
        All of them, by slot.
    resumed : int
        How many of them an earlier run of this search had done.
    start : mapping or None
        What the first trial was given, where the search did not begin from nothing.
    """

    best: Trial
    trials: tuple[Trial, ...]
    resumed: int
    start: Mapping[str, Any] | None


class Telling(Protocol):
    """Is told how a search gets on."""

    def begin(self, ended: Sequence[Trial], start: Mapping[str, Any] | None) -> None:
        """Hear of a search that begins, or goes on after trials that ended before."""
        ...

    def tell(self, trial: Trial, best: Trial | None) -> None:
        """Hear of a trial that ended here, and of the best so far."""
        ...


def run_search(
    question: Question,
    study: Study,
    executor: Executor,
    telling: Telling,
    start: Mapping[str, Any] | None = None,
    *,
    again: bool = False,
) -> Outcome:
    """Search, or go on searching, until there are enough trials or the time is up.

    Parameters
    ----------
    question : Question
        Its model says how it is searched.
    study : Study
        Remembers what was tried. One that is finished is not gone on with, unless more trials are wanted. A trial
        whose process died so often is not tried again: as likely as not it was what killed it.
    executor : Executor
        Runs `parallel` trials at a time; what is asked next waits for all of them.
    telling : Telling
        Told of each trial that ended here.
    start : mapping, optional
        Parameters that the first trial of a new study takes.
    again : bool
        Go on also where the timeout had ended the search.

    Raises
    ------
    SearchFailed
        If no trial came to an end, with the reasons; or if the model has no search.
    """
    search = _search_of(question)
    left = study.give_up_left()
    first = study.start_from(start)
    given = left if first is None else {0: first} | left
    ended = study.trials()[: search.trials]
    resumed = len(ended)
    telling.begin(ended, first)
    wanted = 0 if study.is_finished(search.trials) and not again else search.trials
    batches = _Batches(_sharing_cores(question, search, executor), search, study, executor, _deadline(search))
    while len(ended) < wanted and batches.has_time:
        for trial in batches.run(ended, given):
            ended.append(trial)
            telling.tell(trial, _least(ended))
    outcome = Outcome(_best(study.name, ended), tuple(ended), resumed, first)
    study.finish(outcome.best, search.trials)
    return outcome


class _Batches:
    """Asks and tells as many trials at a time as run in parallel."""

    def __init__(self, question: Question, search: Search, study: Study, executor: Executor, deadline: float) -> None:
        self._attempt = partial(try_parameters, question)
        self._question, self._search, self._study, self._executor = question, search, study, executor
        self._deadline = deadline
        self._space = distributions(question.model)

    @property
    def has_time(self) -> bool:
        return time.monotonic() < self._deadline

    def run(self, ended: list[Trial], given: Mapping[int, Mapping[str, Any]]) -> list[Trial]:
        """Run the next trials; a batch ends at a multiple of its size, also after a restart within it."""
        parallel, begin = self._search.parallel, len(ended)
        slots = range(begin, min((begin // parallel + 1) * parallel, self._search.trials))
        deaths = self._study.deaths()
        asked = [self._study.ask(slot, _sampler(self._question.model.seed, slot, given), self._space) for slot in slots]
        bars = _bars(ended, len(self._question.folds) - 1) if self._search.pruning else ()
        seconds = None if math.isinf(self._deadline) else self._deadline - time.monotonic()
        trials = [Asked(slot, trial.params, bars, seconds) for slot, trial in zip(slots, asked, strict=True)]
        deadly = {trial.slot: _deadly(trial) for trial in trials if deaths.get(trial.slot, 0) >= DIES_AT_MOST}
        found = iter(self._executor.map(self._attempt, [each for each in trials if each.slot not in deadly], seconds))
        done = [_trial(each, deadly.get(each.slot) or next(found)) for each in trials]
        for trial, each in zip(asked, done, strict=True):
            self._study.tell(trial, each)
        return done


def _deadly(asked: Asked) -> Failure:
    error = WorkerLost.because(
        f"processes of {asked}", got=f"{DIES_AT_MOST} that ended without a word", expected="one that lives to its end",
        hint="if memory ran out, train on fewer rows, narrow the space, or run fewer trials at a time",
    )  # fmt: skip
    return Failure(error)


def _trial(asked: Asked, found: Trial | Failure) -> Trial:
    return lost(asked, found) if isinstance(found, Failure) else found


def _search_of(question: Question) -> Search:
    search = question.model.search
    if search is None:
        raise SearchFailed.because(
            "model", got="no search", expected="one that says how it is searched", hint="give it trials and a space"
        )
    return search


def _sampler(seed: int, slot: int, given: Mapping[int, Mapping[str, Any]]) -> "BaseSampler":
    """Give the sampler of one slot, the same whatever process asks."""
    from optuna.samplers import TPESampler

    from ml_platform.training.given import Given

    return Given(given[slot]) if slot in given else TPESampler(seed=seed + slot)


def _bars(ended: list[Trial], folds: int) -> tuple[float, ...]:
    """Give, for each fold but the last, the median of what complete trials had for a mean after it."""
    complete = [trial.losses for trial in ended if trial.state == "complete"]
    if len(complete) < MEDIAN_OF_AT_LEAST:
        return ()
    return tuple(median(math.fsum(losses[:number]) / number for losses in complete) for number in range(1, folds + 1))


def _sharing_cores(question: Question, search: Search, executor: Executor) -> Question:
    """Divide the processors of this process between the trials that run at a time in it."""
    name = THREADS.get(question.model.kind)
    if name is None or search.parallel == 1 or not isinstance(executor, LocalExecutor):
        return question
    return replace(question, threads={name: threads_of_a_fit(at_a_time=search.parallel)})


def _deadline(search: Search) -> float:
    return math.inf if search.timeout is None else time.monotonic() + search.timeout.total_seconds()


def _least(ended: list[Trial]) -> Trial | None:
    complete = [trial for trial in ended if trial.state == "complete"]
    return min(complete, key=lambda trial: (trial.loss, trial.slot), default=None)


def _best(name: str, ended: list[Trial]) -> Trial:
    best = _least(ended)
    if best is not None:
        return best
    reasons = Counter(trial.reason for trial in ended).most_common()
    raise SearchFailed.because(
        f"search {name}",
        got=f"{len(ended)} trials and none that finished ({examples(f'{count} x {why}' for why, count in reasons)})",
        expected="at least one",
        hint="mend what the reasons say, narrow the space or allow a longer timeout; or launch the candidate with "
        "search: never",
    )
