"""Pictures, a page and a table of a search: how the loss fell, which parameters it hung on, and the best trials."""

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from ml_platform.contracts.spec import Choices, Model, Range
from ml_platform.training.search import Outcome
from ml_platform.training.space import distributions
from ml_platform.training.trials import Trial
from ml_platform.validation.plots import COLORS, bars, canvas, to_png

STATE_COLORS = {"complete": COLORS[0], "pruned": COLORS[4], "failed": COLORS[1]}
TABLE_ROWS = 10


def history_plot(outcome: Outcome) -> bytes:
    """Draw each trial's loss, and the least so far, as PNG. A failed trial stands at the foot."""
    figure, axes = canvas("Trials", "trial", "loss on the folds")
    lowest = min(trial.loss for trial in outcome.trials if trial.losses)
    for state, color in STATE_COLORS.items():
        shown = [trial for trial in outcome.trials if trial.state == state]
        losses = [lowest if math.isnan(trial.loss) else trial.loss for trial in shown]
        mark = "x" if state == "failed" else "o"
        axes.scatter([trial.slot + 1 for trial in shown], losses, color=color, marker=mark, s=18, label=state)
    axes.step(*_least_so_far(outcome.trials), where="post", color=COLORS[0], linewidth=1.2)
    axes.legend(frameon=False, fontsize=9)
    return to_png(figure)


def importance_of(model: Model, trials: tuple[Trial, ...]) -> dict[str, float]:
    """Give how much of what sets good trials apart each parameter explains, largest first; nothing of too few trials.

    Parameters
    ----------
    model : Model
        As the spec has it, with its search.

    Notes
    -----
    Source: Optuna 5 documentation, PedAnovaImportanceEvaluator, which `get_param_importances` uses by default.
    """
    import optuna

    space = distributions(model)
    complete = [trial for trial in trials if trial.state == "complete"]
    if len({trial.loss for trial in complete}) < 3:
        return {}
    study = optuna.create_study()
    study.add_trials(
        optuna.trial.create_trial(params=dict(trial.params), distributions=space, value=trial.loss)
        for trial in complete
    )
    found = optuna.importance.get_param_importances(study)
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def importance_plot(importance: dict[str, float]) -> bytes:
    """Draw the importance of the parameters as PNG."""
    figure, axes = canvas("What the loss hung on", "share")
    bars(axes, importance, [COLORS[0]] * len(importance), form="{:.0%}")
    return to_png(figure)


def best_table(model: Model, params: Mapping[str, Any], importance: Mapping[str, float]) -> pl.DataFrame:
    """Give what each searched parameter was set to, where it was looked for, and how much hung on it.

    Parameters
    ----------
    model : Model
        As the spec has it, with its search.
    params : mapping
        What it is fitted with.
    """
    space = {} if model.search is None else model.search.space
    return pl.DataFrame(
        [
            {"parameter": name, "value": _number(params[name]), "space": _range(values)}
            | ({"importance": f"{importance[name]:.0%}"} if name in importance else {})
            for name, values in space.items()
            if name in params
        ]
    )


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _range(values: Range | Choices) -> str:
    if isinstance(values, Choices):
        return ", ".join(map(str, values.choices))
    return f"{values.low:g} to {values.high:g}{', by logarithm' if values.log else ''}"


def trial_table(trials: tuple[Trial, ...]) -> pl.DataFrame:
    """Give the trials as a table, the best first, and those that did not finish last."""
    ranks = {"complete": 0, "pruned": 1, "failed": 2}
    ranked = sorted(trials, key=lambda trial: (ranks[trial.state], trial.loss, trial.slot))
    return pl.DataFrame(
        [
            {"trial": trial.slot + 1, "loss": None if math.isnan(trial.loss) else trial.loss, "state": trial.state}
            | {name: str(value) if isinstance(value, bool | str) else value for name, value in trial.params.items()}
            | {"seconds": round(trial.seconds, 1), "reason": trial.reason}
            for trial in ranked
        ],
        infer_schema_length=None,
    )


def page(title: str, outcome: Outcome, importance: dict[str, float]) -> str:
    """Give one HTML page that needs nothing from elsewhere: history, importance and each parameter against the loss."""
    from plotly import graph_objects
    from plotly.subplots import make_subplots

    names = list(outcome.best.params)
    figure = make_subplots(rows=2 + len(names), subplot_titles=["loss by trial", "importance", *names])
    judged = [trial for trial in outcome.trials if trial.losses]
    told = [f"{trial.state} {dict(trial.params)}" for trial in judged]
    losses, colors = [trial.loss for trial in judged], [STATE_COLORS[trial.state] for trial in judged]

    def dots(values: list[Any]) -> Any:
        return graph_objects.Scatter(x=values, y=losses, mode="markers", text=told, marker={"color": colors})

    figure.add_trace(dots([trial.slot + 1 for trial in judged]), row=1, col=1)
    slots, least = _least_so_far(outcome.trials)
    figure.add_trace(graph_objects.Scatter(x=slots, y=least, line={"shape": "hv"}), row=1, col=1)
    figure.add_trace(graph_objects.Bar(x=list(importance.values()), y=list(importance), orientation="h"), row=2, col=1)
    for place, name in enumerate(names):
        figure.add_trace(dots([trial.params[name] for trial in judged]), row=3 + place, col=1)
    figure.update_layout(title=title, showlegend=False, height=300 * (2 + len(names)), template="plotly_white")
    return figure.to_html(include_plotlyjs=True, full_html=True)


def _least_so_far(trials: tuple[Trial, ...]) -> tuple[list[int], list[float]]:
    slots, least = [], []
    for trial in trials:
        if trial.state == "complete":
            slots.append(trial.slot + 1)
            least.append(min(trial.loss, least[-1] if least else math.inf))
    return slots, least
