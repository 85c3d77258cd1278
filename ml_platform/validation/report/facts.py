"""What a report tells, as plain values: whoever gathers them has the stores, whoever writes them down has none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.metrics import LOSS_OF, Task
from ml_platform.contracts.records import ColumnDrift
from ml_platform.validation.report.checklist import Item

FloatArray = NDArray[np.float64]
# Replaced in a version's description once rows after its as-of have labels.
NO_NUMBER_YET = (
    "The numbers are those of the judged fit, which has not learnt from the holdout. The fit that serves has learnt "
    "from it too, and has no number of its own until the first rows after it have labels."
)


@dataclass(frozen=True)
class Scores:
    """Labels, and one model's predictions of the same rows; of several classes a column for each."""

    labels: FloatArray
    predictions: FloatArray


@dataclass(frozen=True)
class Part:
    """One part of the training set; `label` is the mean of the labels, where they are numbers."""

    name: str
    rows: int
    first: str
    last: str
    label: float | None


@dataclass(frozen=True)
class Day:
    """The rows of one partition within one part."""

    day: str
    part: str
    rows: int
    label: float | None


@dataclass(frozen=True)
class Explanation:
    """How much each feature moved the prediction of some rows.

    Parameters
    ----------
    columns : tuple of str
        The features.
    contributions, features : (n_rows, n_columns) arrays
        What each added to the output before its link, and the encoded value it had; NaN is no value.
    is_category : tuple of bool
        Columns whose encoded value is a code and has no order.
    unit : str
        Of the contributions.
    of : str
        The member of an ensemble whose predictions they are; empty where they are those of the candidate itself.
    note : str
        What the contributions are, where that is not plain.
    """

    columns: tuple[str, ...]
    contributions: FloatArray
    features: FloatArray
    is_category: tuple[bool, ...]
    unit: str
    of: str = ""
    note: str = ""


@dataclass(frozen=True)
class Facts:
    """All that is told of one candidate; what is not known is left out, and the report says so.

    Parameters
    ----------
    evaluation : Evaluation
        The record that stands in the ledger.
    scores : mapping of str to Scores
        By model, the candidate first; the champion on the rows that it was not trained on.
    classes : tuple of str
        Of a multiclass label, in the order of the columns of its predictions.
    importance : mapping of str to float
        By feature, in the model's own unit.
    explanations : tuple of Explanation
        One of the candidate; of an ensemble that has none as a whole, one of each member that counts.
    drift : tuple of ColumnDrift or None
        This training set against the champion's; None with `drift_note` where there is nothing to compare.
    days : tuple of Day
        Labels over time, oldest first.
    lineage : mapping of str to str
        What the version was made of.
    params : mapping of str to str
        What it was fitted with.
    notes, warnings : tuple of str
        What is to be said of the fits, and what makes them doubtful.
    learnt_rows, newest_learnt_at, learnt_until
        How many rows the version that serves has learnt from, the event time of the newest, and the instant from which
        on it knows nothing; None of a bundle that does not know.
    checklist : tuple of Item
        What was to be done before it serves.
    waits : str
        What a person has to do yet; empty if nothing.
    quantile : float or None
        Which one a regression predicts; None for the mean.
    decides : bool
        Whether the pipeline chooses the threshold of a binary model.
    """

    evaluation: Evaluation
    description: str
    owners: tuple[str, ...]
    task: Task
    label: str
    kind: str
    scores: Mapping[str, Scores]
    written_at: str
    classes: tuple[str, ...] = ()
    importance: Mapping[str, float] = field(default_factory=dict[str, float])
    explanations: tuple[Explanation, ...] = ()
    parts: tuple[Part, ...] = ()
    days: tuple[Day, ...] = ()
    drift: tuple[ColumnDrift, ...] | None = None
    drift_note: str = ""
    lineage: Mapping[str, str] = field(default_factory=dict[str, str])
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    learnt_rows: int | None = None
    newest_learnt_at: datetime | None = None
    learnt_until: datetime | None = None
    checklist: tuple[Item, ...] = ()
    waits: str = ""
    quantile: float | None = None
    decides: bool = False

    @property
    def metric(self) -> str:
        """The metric that stands first: the loss that the fit made small, or the first that the candidate has."""
        known = self.evaluation.metrics.get("candidate", {})
        loss = LOSS_OF[self.task] if self.quantile is None else "pinball"
        return loss if loss in known else next(iter(known), loss)

    @property
    def threshold(self) -> float:
        """From which probability on a binary model says yes."""
        return 0.5 if self.evaluation.threshold is None else self.evaluation.threshold
