"""Columns that give the target away, judged as the leakage certificate will judge the training set.

One column at a time, and the equations between several, on a sample. What stands here beside the certificate's own
measure is what only raw columns and small samples show: a column filled in with the target, or of the same order.
"""

from collections.abc import Sequence

import polars as pl

from ml_platform.contracts.metrics import Task
from ml_platform.data.splits.arithmetic import ArithmeticLeak, Roles, arithmetic_leaks
from ml_platform.data.splits.leakage import STRENGTH_AT_MOST
from ml_platform.data.splits.parts import LABEL, PART
from ml_platform.data.splits.telling import strengths

MARGIN = 0.01  # below what the certificate refuses: it judges other rows than the sample's
ROWS_AT_LEAST = 50  # to speak of an order
FITTED_SHARE = 0.5  # of the known rows, the earlier ones; the later ones are asked


def leaks(rows: pl.DataFrame, columns: Sequence[str], target: str, task: Task, time: str) -> dict[str, str]:
    """Say of each column that gives the target away how it does.

    Parameters
    ----------
    rows : (n_rows, ...)
        The columns, the target and the event time.
    """
    unknown = rows[target].is_null()
    known = _known(rows, target, time)
    told = strengths(known, columns, task)
    found = {
        name: f"alone it tells the target ({strength:.3f} of 1)"
        for name, strength in told.items()
        if strength is not None and strength > STRENGTH_AT_MOST[task] - MARGIN
    }
    if task == "regression":
        found |= {name: "it rises or falls with it" for name in columns if _keeps_order(known, name, target)}
    if unknown.any():
        also = [name for name in columns if (rows[name].is_null() == unknown).all()]
        found |= dict.fromkeys(also, "missing exactly where the target is")
    return found


def equations(
    rows: pl.DataFrame, columns: Sequence[str], target: str, task: Task, time: str, made_of: Sequence[str]
) -> list[ArithmeticLeak]:
    """Find the equations by which columns make the target, or a column that the target is made of.

    Parameters
    ----------
    rows, columns, target, task, time
        As for `leaks`.
    made_of : sequence of str
        Columns that a derived target is made of.
    """
    known = _known(rows, target, time)
    is_number = known.schema[target].is_numeric() or known.schema[target] == pl.Boolean
    roles = Roles(columns, target if is_number else None, [name for name in made_of if name not in columns])
    return arithmetic_leaks(known, roles, task, lambda names: strengths(known, names, task))


def _known(rows: pl.DataFrame, target: str, time: str) -> pl.DataFrame:
    """Return the rows with a target, in order of time, cut as a training set is."""
    known = rows.filter(rows[target].is_not_null()).sort(time, maintain_order=True)
    part = pl.when(pl.int_range(pl.len()) < FITTED_SHARE * pl.len()).then(pl.lit("train")).otherwise(pl.lit("holdout"))
    return known.with_columns(pl.col(target).alias(LABEL), part.alias(PART))


def _keeps_order(known: pl.DataFrame, name: str, target: str) -> bool:
    both = known.select(name, target).drop_nulls()
    if not known[name].dtype.is_numeric() or len(both) < ROWS_AT_LEAST or both[name].n_unique() == 1:
        return False
    order = both.select(pl.corr(name, target, method="spearman")).item()
    return abs(order) > STRENGTH_AT_MOST["regression"] - MARGIN
