"""Charts of a report as plotly figures."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_platform.validation.calibration import calibration_curve
from ml_platform.validation.report.curves import recall_points, roc_points
from ml_platform.validation.report.facts import Day, Explanation, Scores
from ml_platform.validation.report.page import Figure, figure, named

FloatArray = NDArray[np.float64]
BARS_AT_MOST, SWARM_ROWS, POINTS_AT_MOST = 15, 400, 1500
COLORS = ("--c0", "--c1", "--c2", "--c3", "--c4")
PARTS = (("train", "--c0"), ("validation", "--c2"), ("holdout", "--c1"))
DIAGONAL = {"type": "line", "x0": 0, "y0": 0, "x1": 1, "y1": 1, "line": {"color": "--muted", "dash": "dot", "width": 1}}


def roc(scores: Mapping[str, Scores]) -> Figure:
    """Draw the ROC curve of each model."""
    curves = {name: roc_points(each.labels, each.predictions) for name, each in scores.items()}
    return figure(
        _lines(curves),
        "false positive rate",
        "true positive rate",
        shapes=[DIAGONAL],
        **_unit(),
        **_legend(inside="br"),
    )


def precision_recall(scores: Mapping[str, Scores]) -> Figure:
    """Draw precision over recall of each model."""
    curves = {name: recall_points(each.labels, each.predictions) for name, each in scores.items()}
    return figure(_lines(curves), "recall", "precision", **_unit(), **_legend(inside="tr"))


def calibration(scores: Mapping[str, Scores]) -> Figure:
    """Draw the share that happened over the probability that was predicted."""
    curves = {name: calibration_curve(each.labels, each.predictions)[1:] for name, each in scores.items()}
    return figure(
        _lines(curves, mode="lines+markers"),
        "predicted",
        "happened",
        shapes=[DIAGONAL],
        **_unit(),
        **_legend(inside="tl"),
    )


def probabilities(scores: Scores, threshold: float) -> Figure:
    """Draw how the predictions of each class are spread."""
    edges = np.linspace(0, 1, 41)
    traces = [
        {
            "type": "bar", "name": name, "x": _rounded((edges[1:] + edges[:-1]) / 2), "width": 0.025, "opacity": 0.65,
            "y": np.histogram(scores.predictions[scores.labels == value], edges)[0].tolist(),
            "marker": {"color": color},
        }
        for value, name, color in ((0, "did not happen", "--c0"), (1, "happened", "--c1"))
    ]  # fmt: skip
    line = {"type": "line", "x0": threshold, "x1": threshold, "yref": "paper", "y0": 0, "y1": 1}
    dash = {"line": {"color": "--muted", "dash": "dot", "width": 1.5}}
    return figure(
        traces, "predicted probability", "rows", shapes=[line | dash], barmode="overlay", **_legend(inside="tr")
    )


def actual_over_predicted(scores: Scores) -> Figure:
    """Draw what happened over what was predicted, row by row, of some rows."""
    some = _some(len(scores.labels), POINTS_AT_MOST)
    predicted, actual = scores.predictions[some], scores.labels[some]
    low, high = float(min(predicted.min(), actual.min())), float(max(predicted.max(), actual.max()))
    points = {
        "type": "scatter", "mode": "markers", "x": _rounded(predicted), "y": _rounded(actual), "name": "row",
        "marker": {"color": "--c0", "size": 5, "opacity": 0.4}, "showlegend": False,
    }  # fmt: skip
    return figure([points], "predicted", "actual", shapes=[DIAGONAL | {"x0": low, "y0": low, "x1": high, "y1": high}])


def residuals(scores: Mapping[str, Scores]) -> Figure:
    """Draw how far each model's predictions are off, counted in bins."""
    found = {name: each.labels - each.predictions for name, each in scores.items()}
    edges = np.histogram_bin_edges(np.concatenate(list(found.values())), 60)
    curves = {name: ((edges[1:] + edges[:-1]) / 2, np.histogram(each, edges)[0]) for name, each in found.items()}
    return figure(_lines(curves, line_shape="hvh"), "actual - predicted", "rows", **_legend(inside="tr"))


def residuals_over_predicted(scores: Scores) -> Figure:
    """Draw the mean error and where nine of ten errors lie, over what was predicted."""
    error = scores.labels - scores.predictions
    edges = np.unique(np.quantile(scores.predictions, np.linspace(0, 1, 21)))
    place = np.searchsorted(edges[1:-1], scores.predictions, side="right")
    bins = [place == each for each in np.unique(place)]
    at = _rounded(np.array([scores.predictions[each].mean() for each in bins]))
    low, high = (_rounded(np.array([np.quantile(error[each], share) for each in bins])) for share in (0.05, 0.95))
    band = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    mean = _rounded(np.array([error[each].mean() for each in bins]))
    traces = [
        band | {"x": at, "y": low},
        band
        | {"x": at, "y": high, "fill": "tonexty", "fillcolor": "--band", "name": "90 % of rows", "showlegend": True},
        {"type": "scatter", "mode": "lines+markers", "x": at, "y": mean, "name": "mean", "line": {"color": "--c0"}},
    ]
    return figure(traces, "predicted", "actual - predicted", **_legend(inside="tl"))


def coverage(scores: Mapping[str, Scores], quantile: float) -> Figure:
    """Draw which share of rows lies at or below the quantile that was predicted, over the prediction."""
    curves = {
        name: calibration_curve((each.labels <= each.predictions).astype(np.float64), each.predictions)[1:]
        for name, each in scores.items()
    }
    asked = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": quantile, "y1": quantile}
    dash = {"line": {"color": "--muted", "dash": "dot", "width": 1}}
    return figure(
        _lines(curves, mode="lines+markers"),
        "predicted",
        "share at or below",
        shapes=[asked | dash],
        yaxis={"range": [-0.02, 1.02]},
        **_legend(inside="br"),
    )


def importance(values: Mapping[str, float]) -> Figure:
    """Draw the features that matter most, as shares of the whole."""
    total = sum(values.values()) or 1.0
    largest = sorted(values.items(), key=lambda item: (-item[1], item[0]))[:BARS_AT_MOST][::-1]
    bars = {
        "type": "bar", "orientation": "h", "y": named([name for name, _ in largest]), "marker": {"color": "--c0"},
        "x": _rounded([100 * value / total for _, value in largest]),
        "hovertemplate": "%{y}: %{x:.1f} %<extra></extra>",
    }  # fmt: skip
    return figure([bars], "share of the whole (%)", yaxis=_names(len(largest)))


def swarm(explained: Explanation) -> Figure:
    """Draw what each feature did to the prediction of each row, coloured by its value; the largest on top."""
    moves = -np.abs(explained.contributions).mean(axis=0)
    order: list[int] = np.argsort(moves, kind="stable")[:BARS_AT_MOST][::-1].tolist()
    some = _some(len(explained.contributions), SWARM_ROWS)
    traces: list[dict[str, Any]] = []
    for place, column in enumerate(order):
        moved, values = explained.contributions[some, column], explained.features[some, column]
        marker: dict[str, Any] = {"size": 4, "opacity": 0.7, "color": "--muted"}
        if not explained.is_category[column]:
            marker |= {
                "color": _rounded(_ranks(values), 3),
                "colorscale": [[0, "--c0"], [1, "--c1"]],
                "cmin": 0,
                "cmax": 1,
            }
        traces.append(
            {
                "type": "scatter", "mode": "markers", "x": _rounded(moved), "y": _rounded(place + _jitter(moved), 3),
                "marker": marker, "showlegend": False, "name": escape(explained.columns[column]),
                "hovertemplate": "%{x:.3f}<extra>%{fullData.name}</extra>",
            }
        )  # fmt: skip
    ticks = {"tickvals": list(range(len(order))), "ticktext": named([explained.columns[each] for each in order])}
    zero = {
        "type": "line",
        "x0": 0,
        "x1": 0,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"color": "--muted", "width": 1},
    }
    return figure(
        traces, f"moves the prediction by ({explained.unit})", yaxis=_names(len(order)) | ticks, shapes=[zero]
    )


def labels_over_time(days: Sequence[Day], label: str) -> Figure:
    """Draw rows as bars and the mean of the labels as a line, coloured by part."""
    traces: list[dict[str, Any]] = []
    for part, color in PARTS:
        of_it = [day for day in days if day.part == part]
        at = [day.day for day in of_it]
        bars = {"type": "bar", "x": at, "y": [day.rows for day in of_it], "yaxis": "y2", "opacity": 0.2}
        traces.append(bars | {"name": f"{part} rows", "marker": {"color": color}, "showlegend": False})
        mean = [None if day.label is None else round(day.label, 5) for day in of_it]
        traces.append(
            {"type": "scatter", "mode": "lines+markers", "x": at, "y": mean, "name": part, "line": {"color": color}}
        )
    second = {"overlaying": "y", "side": "right", "showgrid": False, "title": {"text": "rows"}, "rangemode": "tozero"}
    second |= {"tickmode": "auto"}  # an overlaying axis else marks where the other one does, at odd numbers of rows
    return figure(traces, "", label, yaxis2=second, barmode="stack", legend={"orientation": "h", "y": 1.12, "x": 0})


def rows_over_time(days: Sequence[Day]) -> Figure:
    """Draw rows as bars, coloured by part."""
    traces = [
        {
            "type": "bar", "name": part, "x": [day.day for day in days if day.part == part],
            "y": [day.rows for day in days if day.part == part], "marker": {"color": color}, "opacity": 0.5,
        }
        for part, color in PARTS
    ]  # fmt: skip
    return figure(traces, "", "rows", barmode="stack", legend={"orientation": "h", "y": 1.12, "x": 0})


def intervals(
    names: Sequence[str], values: Sequence[float], bounds: Sequence[tuple[float, float] | None], x: str
) -> Figure:
    """Draw a point for each name with its interval, the first on top."""
    low = [value - each[0] if each else 0.0 for value, each in zip(values, bounds, strict=True)]
    high = [each[1] - value if each else 0.0 for value, each in zip(values, bounds, strict=True)]
    bars = {
        "type": "data",
        "symmetric": False,
        "array": high[::-1],
        "arrayminus": low[::-1],
        "color": "--c0",
        "thickness": 1.5,
    }
    points = {
        "type": "scatter", "mode": "markers", "x": list(values)[::-1], "y": named(names)[::-1], "error_x": bars,
        "marker": {"color": "--c0", "size": 8},
    }  # fmt: skip
    return figure([points], x, yaxis=_names(len(names)))


def _lines(
    curves: Mapping[str, tuple[Any, Any]], mode: str = "lines", line_shape: str = "linear"
) -> list[dict[str, Any]]:
    return [
        {
            "type": "scatter", "mode": mode, "name": escape(name), "x": _rounded(x), "y": _rounded(y),
            "line": {"color": color, "width": 2, "shape": line_shape},
        }
        for (name, (x, y)), color in zip(curves.items(), COLORS, strict=False)
    ]  # fmt: skip


def _unit() -> dict[str, Any]:
    return {"xaxis": {"range": [-0.02, 1.02]}, "yaxis": {"range": [-0.02, 1.02]}}


def _legend(inside: str) -> dict[str, Any]:
    y, x = (0.02 if inside[0] == "b" else 0.98), (0.02 if inside[1] == "l" else 0.98)
    anchors = {"yanchor": "bottom" if inside[0] == "b" else "top", "xanchor": "left" if inside[1] == "l" else "right"}
    return {"legend": {"x": x, "y": y, **anchors}}


def _names(count: int) -> dict[str, Any]:
    return {"showgrid": False, "automargin": True, "range": [-0.6, count - 0.4]}


def _rounded(values: Any, digits: int = 5) -> list[float | None]:
    """Give numbers as JSON has them: five digits that count, and none for what is not finite."""
    return [
        float(f"{value:.{digits}g}") if np.isfinite(value) else None for value in np.asarray(values, dtype=np.float64)
    ]


def _some(rows: int, at_most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, rows - 1, min(rows, at_most)).round().astype(np.int64))


def _ranks(values: FloatArray) -> FloatArray:
    """Give where each value stands among the others, from 0 to 1; the middle for none."""
    known = np.sort(values[np.isfinite(values)])
    if not known.size:
        return np.full(len(values), 0.5)
    between = np.searchsorted(known, values, side="left") + np.searchsorted(known, values, side="right")
    return np.where(np.isfinite(values), between / (2 * known.size), 0.5)


def _jitter(moved: FloatArray) -> FloatArray:
    """Spread points that lie on one another up and down, the more of them the further."""
    edges = np.histogram_bin_edges(moved, 40)
    place = np.clip(np.searchsorted(edges, moved, side="right") - 1, 0, 39)
    order = np.argsort(place, kind="stable")
    counts = np.bincount(place, minlength=40)
    within = np.empty(len(moved))
    within[order] = np.arange(len(moved)) - np.repeat(np.cumsum(counts) - counts, counts)
    side = np.where(within % 2 == 0, 1.0, -1.0)
    return side * np.ceil(within / 2) / max(1.0, counts.max() / 2) * 0.38
