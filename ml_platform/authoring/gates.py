"""The gates of a new pipeline: one table by what is predicted, with margins measured on the sample.

Put here what a drafted gate compares. The same for every task: the loss that is proper for what is predicted must beat
every baseline and keep up with the champion, both with confidence; a second metric is watched for a fall, as estimated.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ml_platform.authoring.margins import Margins
from ml_platform.contracts.metrics import LOSS_OF, MetricName, Task

Predicted = Literal["binary", "multiclass", "regression", "quantile"]
CONFIDENCE = 0.95
# Of the best baseline's loss. A model that learned nothing is a constant too, and of two constants one is nearer.
BEATS_SHARE = 0.001


@dataclass(frozen=True)
class Drafted:
    """What the gates of one kind of prediction look at.

    Parameters
    ----------
    loss : MetricName
        The proper loss: the least there is only for who predicts the truth.
    watched : MetricName or None
        A metric that must not fall far: of classes how well they are ranked, of a mean its typical error.
    fall : float
        How far it may fall at least, as a share of the best baseline's value.
    """

    loss: MetricName
    watched: MetricName | None
    fall: float


TABLE: Mapping[Predicted, Drafted] = {
    "binary": Drafted(LOSS_OF["binary"], "roc_auc", 0.04),  # 0.02 of an area whose baseline has 0.5
    "multiclass": Drafted(LOSS_OF["multiclass"], "roc_auc", 0.04),
    "regression": Drafted(LOSS_OF["regression"], "mae", 0.02),
    "quantile": Drafted("pinball", None, 0.0),
}


@dataclass(frozen=True)
class GateLine:
    """A gate as it is written, with what is to be said of it."""

    gate: Mapping[str, Any]
    comment: str


def predicted_of(task: Task, quantile: float | None) -> Predicted:
    """Return which line of the table a pipeline follows."""
    return task if quantile is None else "quantile"


def draft_gates(predicted: Predicted, margins: Margins) -> tuple[GateLine, ...]:
    """Return the gates of a pipeline, in their order, each with where its number comes from."""
    return tuple(_lines(TABLE[predicted], margins))


def _lines(drafted: Drafted, margins: Margins) -> Iterator[GateLine]:
    least = margins.share_of(drafted.loss, BEATS_SHARE)
    beats = {"metric": drafted.loss, "versus": "baseline", "better_by": least.size, "confidence": CONFIDENCE}
    yield GateLine(beats, f"every baseline, with confidence over rows and over days; by chance none by {least.origin}")
    margin = margins.of(drafted.loss)
    keeps = {"metric": drafted.loss, "versus": "champion", "worse_by_at_most": margin.size, "confidence": CONFIDENCE}
    yield GateLine(keeps, f"the margin: {margin.origin}")
    if drafted.watched is not None:
        fall = margins.of(drafted.watched, drafted.fall)
        watches = {"metric": drafted.watched, "versus": "champion", "worse_by_at_most": fall.size}
        yield GateLine(watches, f"no fall: {fall.origin}")
