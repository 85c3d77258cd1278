"""Which gates have nothing to compare: the champion has learnt from too many rows of the holdout.

That is no fault of the candidate, and no reason to show red; the verdict stays `inconclusive`, which never promotes.
"""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from ml_platform.contracts.evaluations import Verdict
from ml_platform.contracts.spec import AnyGate, Gate
from ml_platform.validation.gates import ROWS_AT_LEAST
from ml_platform.validation.slices import ROWS_AT_LEAST as SLICE_ROWS_AT_LEAST


def mark_not_applicable(
    gates: Sequence[AnyGate],
    verdicts: Sequence[Verdict],
    is_unseen: NDArray[np.bool_] | None,
    at: NDArray[np.datetime64],
) -> list[Verdict]:
    """Mark the verdicts for which the champion has left too few new rows.

    Parameters
    ----------
    gates : sequence of AnyGate
        Those of the spec.
    verdicts : sequence of Verdict
        In any order; what is not inconclusive is left as it is.
    is_unseen : (n_holdout,) array of bool, or None
        The rows that the champion has not learnt from; None without a champion.
    at : (n_holdout,) array of datetime64
        When each prediction is asked for.
    """
    if is_unseen is None:
        return list(verdicts)
    versus = {gate.name: gate for gate in gates if isinstance(gate, Gate) and gate.versus == "champion"}
    return [
        verdict.model_copy(update={"is_applicable": False})
        if verdict.outcome == "inconclusive"
        and (gate := versus.get(verdict.gate)) is not None
        and _lacks_new_rows(gate, is_unseen, at)
        else verdict
        for verdict in verdicts
    ]


def _lacks_new_rows(gate: Gate, is_unseen: NDArray[np.bool_], at: NDArray[np.datetime64]) -> bool:
    """Check whether a gate has too few rows only because the champion has learnt from the others."""
    looked_at = _newest(at, gate.newest)
    needed = gate.rows_at_least or (SLICE_ROWS_AT_LEAST if gate.per else ROWS_AT_LEAST)
    rows, new = int(looked_at.sum()), int((looked_at & is_unseen).sum())
    return new < rows and (new == 0 or new < needed <= rows)


def _newest(at: NDArray[np.datetime64], stretch: timedelta | None) -> NDArray[np.bool_]:
    if stretch is None or not len(at):
        return np.ones(len(at), dtype=bool)
    return at > at.max() - np.timedelta64(stretch)
