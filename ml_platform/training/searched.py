"""Whether a model is searched at all, and what it is fitted with: a study's best parameters, older ones, or its own."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from ml_platform.contracts.spec import Model, Search
from ml_platform.contracts.spec.parts import write_duration
from ml_platform.training.claims import Owner
from ml_platform.training.executor import Executor
from ml_platform.training.search import Outcome, Telling, run_search
from ml_platform.training.space import within_space
from ml_platform.training.studies import Best, Place, Studies
from ml_platform.training.trials import Question, written

How = Literal["auto", "always", "never"]


@dataclass(frozen=True)
class Searched:
    """A model as it is to be fitted.

    Parameters
    ----------
    model : Model
        With all its parameters; it asks for no search any more.
    note : str
        How the parameters were found, in a sentence. The same for the same study, whichever run did which trial.
    outcome : Outcome or None
        The search, if there was one.
    study : str or None
        Its name.
    """

    model: Model
    note: str
    outcome: Outcome | None = None
    study: str | None = None


@dataclass(frozen=True)
class Searching:
    """What every search of a run works with.

    Parameters
    ----------
    studies : Studies
        Where they are kept.
    owner : Owner
        This run.
    executor : function
        Gives, for as long as a context lasts, what runs so many trials at a time.
    how : {"auto", "always", "never"}
        `auto`: as the spec says. `always`: search, whatever `every` says. `never`: take the last best parameters.
    """

    studies: Studies
    owner: Owner
    executor: Callable[[int], AbstractContextManager[Executor]]
    how: How = "auto"


def searched_model(question: Question, place: Place, searching: Searching, telling: Telling) -> Searched:
    """Give a model the parameters it is to be fitted with; no study of a later as-of is looked at.

    Raises
    ------
    SearchFailed
        If it is searched and no trial finished.
    """
    model, search = question.model, question.model.search
    if search is None:
        return Searched(model, "")
    if searching.how == "never":
        return _without_search(model, place, searching.studies)
    if searching.how == "auto" and (best := _fresh(search, place, searching.studies)) is not None:
        return _reused(model, best)
    start = _start(model, place, searching.studies) if search.warm_start else None
    with searching.studies.open(place, searching.owner) as study, searching.executor(search.parallel) as executor:
        outcome = run_search(
            question, study, executor, telling, None if start is None else start.params, again=searching.how == "always"
        )
    return Searched(_with(model, outcome.best.params), _sentence(question, search, outcome), outcome, place.name)


def _fresh(search: Search, place: Place, studies: Studies) -> Best | None:
    """Give the newest earlier study of the same question, unless it is as old as `every` or this as-of has its own."""
    if search.every is None or studies.has(place):
        return None
    for best in studies.found(place.pipeline, place.model, place.as_of):
        age = date.fromisoformat(place.as_of) - date.fromisoformat(best.as_of)
        if age >= search.every:
            return None
        if best.asks == place.asks and best.as_of < place.as_of:
            return best
    return None


def _start(model: Model, place: Place, studies: Studies) -> Best | None:
    """Give the newest earlier study whose best parameters lie within the space."""
    earlier = (best for best in studies.found(place.pipeline, place.model, place.as_of) if best.as_of < place.as_of)
    return next((best for best in earlier if within_space(model, best.params) is not None), None)


def _without_search(model: Model, place: Place, studies: Studies) -> Searched:
    found = studies.found(place.pipeline, place.model, place.as_of)
    best = next((best for best in found if within_space(model, best.params) is not None), None)
    if best is None:
        return Searched(
            _with(model, {}), "no search: no earlier study has parameters for this space, so the spec's own"
        )
    return _reused(model, best)


def _reused(model: Model, best: Best) -> Searched:
    params = within_space(model, best.params) or {}
    note = f"no search: the best parameters of the study as of {best.as_of} (loss {best.loss:.6g}): {written(params)}"
    return Searched(_with(model, params), note)


def _with(model: Model, params: Any) -> Model:
    return model.model_copy(update={"params": {**model.params, **params}, "search": None})


def _sentence(question: Question, search: Search, outcome: Outcome) -> str:
    states = [trial.state for trial in outcome.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in ("complete", "pruned", "failed"))
    cut = (
        "" if len(states) == search.trials or search.timeout is None else f", ended by {write_duration(search.timeout)}"
    )
    begun = "" if outcome.start is None else "; it began with the best parameters of the study before"
    return (
        f"searched: {len(states)} trials on {len(question.folds)} folds{cut} ({counts}){begun}; "
        f"loss {outcome.best.loss:.6g} in trial {outcome.best.slot + 1} with {written(outcome.best.params)}"
    )
