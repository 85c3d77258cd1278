"""Pictures, a page and a table of a search: how the loss fell, which parameters it hung on, and the best trials."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from ml_platform.contracts.spec import Choices, Model, Range
from ml_platform.training.search import Outcome
from ml_platform.training.space import distributions
from ml_platform.training.trials import Trial, written
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
        if not shown:
            continue
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


def page(title: str, model: Model, outcome: Outcome, importance: Mapping[str, float]) -> str:
    """Give one HTML page that needs nothing from elsewhere: history, importance and each parameter against the loss.

    Parameters
    ----------
    model : Model
        As the spec has it; parameters that it searches by logarithm are drawn so.
    """
    from plotly import graph_objects as go
    from plotly.subplots import make_subplots

    names, space = list(outcome.best.params), {} if model.search is None else model.search.space
    titles = ["loss by trial", *(["what the loss hung on"] if importance else []), *names]
    figure = make_subplots(rows=len(titles), subplot_titles=titles, vertical_spacing=0.3 / len(titles))
    slots, least = _least_so_far(outcome.trials)
    line = {"shape": "hv", "color": COLORS[0]}
    figure.add_trace(go.Scatter(x=slots, y=least, mode="lines", line=line, showlegend=False), row=1, col=1)
    _add_dots(figure, 1, outcome, lambda trial: trial.slot + 1)
    if importance:
        shares, named = list(importance.values()), list(importance)
        bars_of = go.Bar(x=shares, y=named, orientation="h", marker={"color": COLORS[0]}, showlegend=False)
        figure.add_trace(bars_of, row=2, col=1)
        figure.update_xaxes(tickformat=".0%", row=2, col=1)
        figure.update_yaxes(autorange="reversed", row=2, col=1)
    for row, name in enumerate(names, 1 + len(titles) - len(names)):
        _add_dots(figure, row, outcome, lambda trial, name=name: trial.params[name])
        if getattr(space.get(name), "log", False):
            figure.update_xaxes(type="log", row=row, col=1)
    figure.update_layout(title=title, height=80 + 260 * len(titles), template="plotly_white")
    return figure.to_html(include_plotlyjs=True, full_html=True)


def _add_dots(figure: Any, row: int, outcome: Outcome, place: Callable[[Trial], Any]) -> None:
    """Draw the losses of all judged trials, in the colour of their state, and a ring round the best."""
    from plotly.graph_objects import Scatter

    for state, color in STATE_COLORS.items():
        shown = [trial for trial in outcome.trials if trial.losses and trial.state == state]
        told = [f"trial {trial.slot + 1}, {len(trial.losses)} folds: {written(trial.params)}" for trial in shown]
        told_of = {"text": told, "name": state, "legendgroup": state, "showlegend": row == 1}
        at, losses = [place(trial) for trial in shown], [trial.loss for trial in shown]
        figure.add_trace(Scatter(x=at, y=losses, mode="markers", marker={"color": color}, **told_of), row=row, col=1)
    ring = {"color": "rgba(0,0,0,0)", "size": 14, "line": {"color": COLORS[1], "width": 2}}
    best = {"name": "best", "legendgroup": "best", "showlegend": row == 1, "hoverinfo": "skip"}
    at, losses = [place(outcome.best)], [outcome.best.loss]
    figure.add_trace(Scatter(x=at, y=losses, mode="markers", marker=ring, **best), row=row, col=1)
    figure.update_yaxes(title="loss", row=row, col=1)


def failure_table(trials: tuple[Trial, ...]) -> pl.DataFrame:
    """Give why trials failed, the most frequent reason first; empty if none did."""
    reasons = Counter(trial.reason for trial in trials if trial.state == "failed")
    return pl.DataFrame([{"trials": count, "reason": reason} for reason, count in reasons.most_common()])


def _least_so_far(trials: tuple[Trial, ...]) -> tuple[list[int], list[float]]:
    slots, least = [], []
    for trial in trials:
        if trial.state == "complete":
            slots.append(trial.slot + 1)
            least.append(min(trial.loss, least[-1] if least else math.inf))
    return slots, least
