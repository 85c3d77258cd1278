"""Pictures and tables of an evaluation: PNG bytes of about 640 x 400 pixels, and markdown.

Drawn with matplotlib's object interface only: no global state, safe from any thread, and the same bytes for the same
numbers. `canvas` and `to_png` give the other rooms the same look.
"""

import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ml_platform.contracts.evaluations import Verdict
from ml_platform.contracts.metrics import METRIC_NAMES
from ml_platform.validation.calibration import calibration_bins, calibration_curve

# matplotlib leaves its **kwargs without types.
# pyright: reportUnknownMemberType=false

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#2563a8", "#d9772b", "#5b8c3e", "#8a5aa8", "#6b7280")
BARS_AT_MOST = 15
# Of the width of a picture: about what one character of a bar's name takes, and all of a name at most. An engine that
# lays the picture out by itself draws all texts twice and more, which takes longer than the picture.
CHARACTER, NAMES_AT_MOST = 0.0117, 0.5


def canvas(title: str, x_label: str, y_label: str = "") -> tuple["Figure", "Axes"]:
    """Prepare an empty chart in the platform's look."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), dpi=100)
    figure.subplots_adjust(left=0.13, right=0.97, bottom=0.14, top=0.91)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.set_xlabel(x_label, fontsize=9)
    axes.set_ylabel(y_label, fontsize=9)
    axes.tick_params(labelsize=9, length=0)
    axes.grid(visible=True, color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    return figure, axes


def to_png(figure: "Figure") -> bytes:
    """Draw the chart; the bytes name no software version and no time."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def bars(
    axes: "Axes", values: Mapping[str, float], colors: Sequence[str], *, form: str = "{:.3g}", at_most: float = math.inf
) -> None:
    """Draw horizontal bars, the first on top, each with its number at its end; longer ones are cut off at `at_most`."""
    longest = max(map(len, values), default=0)
    axes.figure.subplots_adjust(left=min(NAMES_AT_MOST, 0.03 + longest * CHARACTER))
    places = np.arange(len(values))
    drawn = axes.barh(places, [min(value, at_most) for value in values.values()], color=list(colors), height=0.65)
    axes.bar_label(drawn, labels=[form.format(value) for value in values.values()], padding=3, fontsize=8)
    axes.set_yticks(places, list(values))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.12)


def calibration_plot(labels: ArrayLike, predictions: Mapping[str, ArrayLike]) -> bytes:
    """Draw the share that happened over the probability that was predicted.

    Parameters
    ----------
    labels : (n_rows,) array
        0 or 1; at least one row.
    predictions : mapping
        Model -> finite probabilities of the same rows; at most five models.

    Returns
    -------
    bytes
        PNG. Points are the bins of `ml_platform.validation.calibration.calibration_curve`; the diagonal is perfect.
    """
    figure, axes = canvas("Calibration", "predicted probability", "share that happened")
    axes.plot([0, 1], [0, 1], color="#9ca3af", linewidth=1, linestyle="--")
    happened = np.asarray(labels, dtype=np.float64)
    for (model, values), color in zip(predictions.items(), COLORS, strict=False):
        _, predicted, share = calibration_curve(happened, np.asarray(values, dtype=np.float64))
        axes.plot(predicted, share, marker="o", markersize=4, linewidth=1.5, color=color, label=model)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    if predictions:
        axes.legend(frameon=False, fontsize=9, loc="upper left")
    return to_png(figure)


def actual_plot(labels: ArrayLike, predictions: Mapping[str, ArrayLike]) -> bytes:
    """Draw what happened over what a regression predicted: the mean, and the middle half of the rows, in ten bins.

    Parameters
    ----------
    labels : (n_rows,) array
        Finite; at least one row.
    predictions : mapping
        Model -> finite predictions of the same rows; at most five models.

    Returns
    -------
    bytes
        PNG. Bins are those of `ml_platform.validation.calibration.calibration_curve`; the diagonal is perfect.
    """
    figure, axes = canvas("Predicted and actual", "predicted", "actual: mean, and 25 % to 75 %")
    actual = np.asarray(labels, dtype=np.float64)
    for (model, values), color in zip(predictions.items(), COLORS, strict=False):
        predicted = np.asarray(values, dtype=np.float64)
        _, mean, happened = calibration_curve(actual, predicted)
        place = calibration_bins(predicted)
        low, high = (
            [float(np.quantile(actual[place == each], share)) for each in np.unique(place)] for share in (0.25, 0.75)
        )
        axes.vlines(mean, low, high, color=color, linewidth=4, alpha=0.25)
        axes.plot(mean, happened, marker="o", markersize=4, linewidth=1.5, color=color, label=model)
    if predictions:
        axes.axline((float(actual.mean()), float(actual.mean())), slope=1, color="#9ca3af", linewidth=1, linestyle="--")
        axes.legend(frameon=False, fontsize=9, loc="upper left")
    return to_png(figure)


def importance_plot(gains: Mapping[str, float]) -> bytes:
    """Draw the features that the model gained most from, as shares of the whole gain; the 15 largest.

    Parameters
    ----------
    gains : mapping
        Feature -> total gain of its splits, not negative.

    Returns
    -------
    bytes
        PNG.
    """
    total = sum(gains.values()) or 1.0
    largest = sorted(gains.items(), key=lambda item: (-item[1], item[0]))[:BARS_AT_MOST]
    figure, axes = canvas("Feature importance", "share of gain (%)")
    bars(axes, {name: 100 * gain / total for name, gain in largest}, [COLORS[0]] * len(largest), form="{:.1f}")
    return to_png(figure)


def metric_table(metrics: Mapping[str, Mapping[str, float]]) -> str:
    """Write a markdown table of model x metric; a metric that is not defined shows as a dash."""
    own = sorted({name for values in metrics.values() for name in values} - {*METRIC_NAMES})
    names = [*(name for name in METRIC_NAMES if any(name in values for values in metrics.values())), *own]
    rows = [
        [model, *(f"{values[name]:.4f}" if name in values else "-" for name in names)]
        for model, values in metrics.items()
    ]
    return table(["model", *names], rows)


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """Write a markdown table of the verdicts, in their order."""
    return table(["outcome", "because", "gate"], [[one.outcome, one.sentence, one.gate] for one in verdicts])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a markdown table; a vertical bar within a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
