"""Labels: what happened, and since when it was known."""

from collections.abc import Sequence

import polars as pl

from ml_platform.contracts.spec import Label
from ml_platform.data.splits import KNOWN_AT, LABEL


def known_at(label: Label, event_time: str) -> pl.Expr:
    """Give the instant at which each row's label became known."""
    return pl.col(event_time) + label.known_after if label.known_at is None else pl.col(label.known_at)


def known_labels(rows: pl.DataFrame, label: Label, key: Sequence[str], event_time: str) -> pl.DataFrame:
    """Give key, `label` and `label_known_at` of validated rows.

    Parameters
    ----------
    rows : (n_rows, ...)
        Key, event time and the columns of the label.
    """
    return rows.select(*key, pl.col(label.column).alias(LABEL), known_at(label, event_time).alias(KNOWN_AT))
