"""Which rows of a request the author's feature function cannot take, when it raised for the batch.

A row on which it raises is its sender's fault, named like any other; the server does not fail for it.
"""

import logging
from collections.abc import Iterator
from itertools import islice

import polars as pl

from ml_platform.contracts.errors import EXAMPLES_AT_MOST, RequestRejected, SpecError
from ml_platform.features.lookups import PreparedLookups
from ml_platform.features.plan import FeaturePlan
from ml_platform.serving.requests import Fault

FIELD = "features"
_EXPECTED = "values that the feature function takes"
_log = logging.getLogger(__name__)


def row_faults(plan: FeaturePlan, rows: pl.DataFrame, lookups: PreparedLookups) -> RequestRejected | None:
    """Return the refusal of a batch whose features failed, naming rows that fail by themselves; None if none does.

    At most five are named, after which no more rows are looked at.
    """
    faults = list(islice(_faults(plan, rows, lookups), EXAMPLES_AT_MOST + 1))
    if not faults:
        return None
    _log.warning("features failed for at least %d of %d rows of a request", len(faults), len(rows))
    more = "; and more" if len(faults) > EXAMPLES_AT_MOST else ""
    shown = "; ".join(map(str, faults[:EXAMPLES_AT_MOST]))
    hint = "send the other rows without these"
    return RequestRejected(f"{shown}{more}. Hint: {hint}", status=422, field=FIELD)


def _faults(plan: FeaturePlan, rows: pl.DataFrame, lookups: PreparedLookups) -> Iterator[Fault]:
    for place in range(len(rows)):
        try:
            plan.transform(rows[place], lookups)
        except SpecError as error:
            yield Fault(FIELD, place, _cause(error), _EXPECTED)


def _cause(error: SpecError) -> str:
    """Return what the author's code raised, in a line; the row is the caller's own."""
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {str(cause).partition(chr(10))[0]}"[:120]
