"""Labels: what happened, and since when it was known."""

from collections.abc import Sequence

import polars as pl

from ml_platform.contracts.errors import ContractError, examples
from ml_platform.contracts.spec import Label
from ml_platform.data.splits.parts import KNOWN_AT, LABEL


def known_at(label: Label, event_time: str) -> pl.Expr:
    """Give the instant at which each row's label became known."""
    return pl.col(event_time) + label.known_after if label.known_at is None else pl.col(label.known_at)


def known_labels(
    rows: pl.DataFrame, label: Label, key: Sequence[str], event_time: str, also: Sequence[str] = ()
) -> pl.DataFrame:
    """Give key, `label` and `label_known_at` of validated rows, all that were ever known of a key.

    Parameters
    ----------
    rows : (n_rows, ...)
        Key, event time and the columns of the label.
    also : sequence of str
        Columns that go along.

    Raises
    ------
    ContractError
        If a label is infinite or NaN; names such rows.
    """
    known = known_at(label, event_time).alias(KNOWN_AT)
    labels = rows.select(*key, pl.col(label.column).alias(LABEL), known, *also)
    is_strange = ~pl.col(LABEL).is_finite() if labels.schema[LABEL].is_float() else pl.lit(value=False)
    strange = labels.filter(is_strange).select(LABEL, *key)
    if len(strange):
        raise ContractError.because(
            f"label {label.column}", got=examples(strange.iter_rows()), expected="finite numbers, null where not known",
            hint="mend the source, or let a rule of the schema quarantine such rows",
        )  # fmt: skip
    return labels
