"""Studies: what a search has tried so far, kept in a database so that a search goes on where it was stopped.

A study belongs to one pipeline, model and as-of, and to one question; its name says so. Trials are told in the order of
their slots. One that was asked and never told was left by a dead process: it is marked as failed, and its slot is asked
again with the same parameters, so that the end is that of an undisturbed search.
"""

import math
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_platform.contracts.errors import SearchFailed
from ml_platform.training.claims import Owner, claimed
from ml_platform.training.trials import State, Trial

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

ASKED, TOLD, BEST = "asked", "told", "best"
BUSY_TIMEOUT_S = 30
MADE_WITHIN = 4  # tries; there are tables and, after them, their version
REASON_AT_MOST = 500


@dataclass(frozen=True)
class Place:
    """Which study: of a pipeline's model as of a partition.

    `asks` is a digest of what is searched, and in which space; `digest` of that with rows, folds and code.
    """

    pipeline: str
    model: str
    as_of: str
    asks: str
    digest: str

    @property
    def name(self) -> str:
        """Name the study."""
        return f"{self.pipeline}/{self.model}/{self.as_of}/{self.digest}"


@dataclass(frozen=True)
class Best:
    """What a finished study found.

    Parameters
    ----------
    as_of : str
        Of the study.
    asks : str
        Digest of what was searched, and in which space; not of rows and code.
    params : mapping
        The best values of the searched parameters.
    loss : float
        Their mean over the folds.
    trials : int
        How many were asked for.
    """

    as_of: str
    asks: str
    params: Mapping[str, Any]
    loss: float
    trials: int


@dataclass(frozen=True)
class Study:
    """One study, opened by the one process that runs it."""

    place: Place
    study: "optuna.Study"

    @property
    def name(self) -> str:
        """The study's name."""
        return self.place.name

    def trials(self) -> list[Trial]:
        """Give the trials that ended, by slot."""
        ended = [_trial_of(each) for each in self.study.get_trials(deepcopy=False) if _has_ended(each)]
        return sorted(ended, key=lambda trial: trial.slot)

    def is_finished(self, trials: int) -> bool:
        """Tell whether so many trials, or as many as the timeout let, were all done."""
        found = self.study.user_attrs.get(BEST)
        return found is not None and found["trials"] >= trials

    def start_from(self, params: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Give the parameters of the first trial: those kept from the study's own first start, or these."""
        if "start" not in self.study.user_attrs:
            self.study.set_user_attr("start", None if params is None else dict(params))
        return self.study.user_attrs["start"]

    def give_up_left(self) -> dict[int, dict[str, Any]]:
        """Mark what a dead process left as failed; gives its parameters by slot."""
        from optuna.trial import TrialState

        left = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for trial in left:
            self._close(trial.number, trial.user_attrs.get(TOLD))
        return {trial.user_attrs[ASKED]["slot"]: trial.params for trial in left if _was_cut_off(trial)}

    def deaths(self) -> Mapping[int, int]:
        """Count for each slot the processes that died while they tried it."""
        tried = self.study.get_trials(deepcopy=False)
        return Counter(trial.user_attrs[ASKED]["slot"] for trial in tried if _was_cut_off(trial))

    def ask(self, slot: int, sampler: "BaseSampler", space: Mapping[str, "BaseDistribution"]) -> "optuna.Trial":
        """Begin a trial with the parameters that a sampler chooses."""
        self.study.sampler = sampler
        trial = self.study.ask(dict(space))
        trial.set_user_attr(ASKED, {"slot": slot})
        return trial

    def tell(self, asked: "optuna.Trial", trial: Trial) -> None:
        """End a trial."""
        told = {name: value for name, value in asdict(trial).items() if name not in ("slot", "params")}
        told |= {"reason": trial.reason[:REASON_AT_MOST], "ended_at": trial.ended_at.isoformat()}
        if trial.state == "pruned":
            asked.report(trial.loss, step=len(trial.losses))
        asked.set_user_attr(TOLD, told)
        self._close(asked.number, told)

    def finish(self, best: Trial, trials: int) -> None:
        """Keep what was found with so many trials asked for."""
        found = Best(self.place.as_of, self.place.asks, best.params, best.loss, trials)
        self.study.set_user_attr(BEST, asdict(found))

    def _close(self, number: int, told: Mapping[str, Any] | None) -> None:
        """Give a trial its state in the study; one that was never told has failed."""
        from optuna.trial import TrialState

        states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
        state = states.get(told["state"], TrialState.FAIL) if told else TrialState.FAIL
        loss = math.fsum(told["losses"]) / len(told["losses"]) if told and state == TrialState.COMPLETE else None
        self.study.tell(number, loss, state=state)


class Studies:
    """All studies, in a SQL database. Cheap to make: the database is opened by the first search.

    Parameters
    ----------
    url : str
        SQLAlchemy URL, such as `Home.studies_url`.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    @contextmanager
    def open(self, place: Place, owner: Owner) -> Iterator[Study]:
        """Give a study to one run, as long as the context lasts: begun if need be, and anew if no trial was complete.

        Raises
        ------
        SearchFailed
            If another run that is alive has it, or the database cannot be reached, also later on.
        """
        import optuna

        with ExitStack() as stack:
            with _told(self._url):
                stack.enter_context(claimed(self._storage.engine, place.name, owner))
                study = self._begun(place)
            try:
                yield Study(place, study)
            except optuna.exceptions.StorageInternalError as error:
                raise _unusable(self._url, error) from error

    def _begun(self, place: Place) -> "optuna.Study":
        import optuna

        def opened() -> optuna.Study:
            return optuna.create_study(storage=self._storage, study_name=place.name, load_if_exists=True)

        study = opened()
        trials = study.get_trials(deepcopy=False)
        spent = {optuna.trial.TrialState.FAIL, optuna.trial.TrialState.PRUNED}
        if not trials or {trial.state for trial in trials} - spent:
            return study
        optuna.delete_study(study_name=place.name, storage=self._storage)
        return opened()

    def has(self, place: Place) -> bool:
        """Tell whether a study was begun."""
        import optuna

        with _told(self._url):
            return place.name in optuna.get_all_study_names(self._storage)

    def found(self, pipeline: str, model: str, until: str) -> Iterator[Best]:
        """Give what the finished studies of a model found, the newest as-of first, none after `until`.

        Raises
        ------
        SearchFailed
            If the database cannot be reached.
        """
        import optuna

        with _told(self._url):
            names = optuna.get_all_study_names(self._storage)
        ours = [name.split("/") for name in names]
        as_ofs = [(parts[2], number) for number, parts in enumerate(ours) if parts[:2] == [pipeline, model]]
        for as_of, number in sorted(as_ofs, reverse=True):
            if as_of <= until:
                found = optuna.load_study(storage=self._storage, study_name=names[number]).user_attrs.get(BEST)
                if found is not None:
                    yield Best(**found)

    @cached_property
    def _storage(self) -> Any:
        import optuna
        import sqlalchemy as sa
        from sqlalchemy import exc

        optuna.logging.set_verbosity(optuna.logging.WARNING)  # a line for each trial is told by whoever searches
        url = sa.make_url(self._url)
        if url.get_backend_name() != "sqlite":
            # A connection for each write, and none held open through hours of a fit.
            make = partial(optuna.storages.RDBStorage, self._url, engine_kwargs={"poolclass": sa.NullPool})
            return _made(make, exc.IntegrityError, exc.ProgrammingError)
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
        options = {"timeout": BUSY_TIMEOUT_S, "factory": _WritesAhead}
        make = partial(optuna.storages.RDBStorage, self._url, engine_kwargs={"connect_args": options})
        return _made(make, exc.IntegrityError, exc.OperationalError)


def _made(make: Callable[[], Any], *at_once: type[Exception]) -> Any:
    """Make the storage; of two processes that make its tables at once one fails, and tries again."""
    for _ in range(MADE_WITHIN - 1):
        with suppress(*at_once):
            return make()
    return make()


class _WritesAhead(sqlite3.Connection):
    """Waits for the disk at checkpoints only: what a killed process wrote is there, and a trial has ten writes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.execute("PRAGMA journal_mode=WAL")
        self.execute("PRAGMA synchronous=NORMAL")


def _has_ended(trial: "optuna.trial.FrozenTrial") -> bool:
    return trial.state.is_finished() and TOLD in trial.user_attrs


def _was_cut_off(trial: "optuna.trial.FrozenTrial") -> bool:
    return ASKED in trial.user_attrs and TOLD not in trial.user_attrs


def _trial_of(trial: "optuna.trial.FrozenTrial") -> Trial:
    told: dict[str, Any] = trial.user_attrs[TOLD]
    state: State = told["state"]
    losses, ended_at = tuple(told["losses"]), datetime.fromisoformat(told["ended_at"])
    slot = trial.user_attrs[ASKED]["slot"]
    return Trial(slot, trial.params, losses, state, told["reason"], told["seconds"], ended_at)


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Say of a database that cannot be used which one it is, without its password."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (OSError, SQLAlchemyError, optuna.exceptions.StorageInternalError, ImportError) as error:
        raise _unusable(url, error) from error


def _unusable(url: str, error: Exception) -> SearchFailed:
    import sqlalchemy as sa

    return SearchFailed.because(
        f"studies at {sa.make_url(url).render_as_string(hide_password=True)}",
        got=type(error).__name__, expected="a database that can be read and written",
        hint="see that it runs, and that its driver is installed (pip install 'ml-platform[postgres]')",
    )  # fmt: skip
