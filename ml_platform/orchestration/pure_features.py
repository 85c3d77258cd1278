"""The author's feature function tried on a sample: made-up rows when definitions load, real ones in `features`."""

from collections.abc import Iterator

import polars as pl

from ml_platform.contracts.errors import SpecError, examples
from ml_platform.features.plan import FeaturePlan
from ml_platform.features.purity import generate_rows, impure_columns, runnable_rows
from ml_platform.orchestration.spec_faults import Fault

SAMPLE = 200
_EXPECTED = "values that depend on their own row alone"
_HINT = "a feature may use neither other rows of the batch, nor the clock, chance, or what an earlier call left behind"


def purity_faults(plan: FeaturePlan, joined: pl.DataFrame) -> Iterator[Fault]:
    """Find columns of the feature function that depend on more than their row, on made-up rows.

    Parameters
    ----------
    joined : pl.DataFrame
        Of no rows: the columns that the function is given.
    """
    if plan.code is None or plan.function is None:
        return
    rows = runnable_rows(plan.code, plan.function, generate_rows(joined.schema))
    if len(rows):  # a function may rightly refuse values that nobody has
        for name, reason in impure_columns(plan.code, plan.function, rows, plan.columns).items():
            place = plan.columns.index(name)
            yield Fault(("features", "columns", place), f"{name}: other values {reason}", _EXPECTED, _HINT)


def require_pure(plan: FeaturePlan, joined: pl.DataFrame) -> None:
    """Refuse a feature function that gives some of these rows other values than it would give them elsewhere.

    Parameters
    ----------
    joined : pl.DataFrame
        What the function is given; a sample of it is tried.

    Raises
    ------
    SpecError
        Naming the columns, and what changes them.
    """
    if plan.code is None or plan.function is None or joined.is_empty():
        return
    sample = joined.gather_every(max(1, len(joined) // SAMPLE)).head(SAMPLE)
    impure = impure_columns(plan.code, plan.function, sample, plan.columns)
    if impure:
        listed = examples(f"{name} (other values {reason})" for name, reason in impure.items())
        raise SpecError.because(f"feature function {plan.function}", got=listed, expected=_EXPECTED, hint=_HINT)
