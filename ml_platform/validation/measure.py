"""How the models of one pipeline are measured: the task, and what some metrics need to know beside the predictions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ml_platform.contracts.metrics import HIGHER_IS_BETTER, METRICS_OF, Task
from ml_platform.contracts.spec import Costs

FloatArray = NDArray[np.float64]
# From labels and predictions to a number; see `Own`.
OwnFunction = Callable[[FloatArray, FloatArray], float]

THRESHOLD = 0.5


@dataclass(frozen=True)
class Own:
    """A metric of the author's.

    Parameters
    ----------
    function : function
        From labels (n_rows,) and predictions (n_rows,), of several classes (n_rows, n_classes), to a number.
    is_higher_better : bool
        Which way it is better.
    """

    function: OwnFunction
    is_higher_better: bool


@dataclass(frozen=True)
class Measure:
    """What `ml_platform.validation.metrics.score` and gates measure by.

    Parameters
    ----------
    task : Task
        Whose metrics.
    threshold : float
        A binary model says yes from this probability on; `f1` and `cost` need it.
    costs : Costs or None
        Of decisions; without them there is no `cost`.
    quantile : float or None
        What a regression predicts, if not the mean; without it there is no `pinball`.
    own : mapping of str to Own
        The author's metrics.
    """

    task: Task
    threshold: float = THRESHOLD
    costs: Costs | None = None
    quantile: float | None = None
    own: Mapping[str, Own] = field(default_factory=dict[str, Own])

    @classmethod
    def of(cls, how: "Measure | Task") -> "Measure":
        """Give a measure; a task alone stands for one without costs, quantile and metrics of its own."""
        return how if isinstance(how, Measure) else cls(how)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is measured, in the platform's order, then the author's."""
        without = {"cost": self.costs, "pinball": self.quantile}
        return (*(name for name in METRICS_OF[self.task] if without.get(name, 0) is not None), *self.own)

    @cached_property
    def higher_is_better(self) -> frozenset[str]:
        """The metrics that are better when they are higher."""
        return HIGHER_IS_BETTER | {name for name, each in self.own.items() if each.is_higher_better}
