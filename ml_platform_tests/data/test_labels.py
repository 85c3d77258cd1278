"""Labels: what happened and when it was known, and no number that nothing could be fitted to."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from ml_platform.contracts.errors import ContractError
from ml_platform.contracts.spec import Label
from ml_platform.data.splits.labels import known_labels
from ml_platform.data.splits.parts import KNOWN_AT, LABEL

AT = datetime(2013, 3, 1, 12, tzinfo=UTC)
KNOWN_LATER = Label(column="minutes", task="regression", known_after=timedelta(days=2))
KNOWN_BY_COLUMN = Label(column="minutes", task="regression", known_at="landed_at")


def _rows(values: list[float | None]) -> pl.DataFrame:
    count = len(values)
    return pl.DataFrame(
        {"id": range(count), "at": [AT] * count, "landed_at": [AT + timedelta(hours=1)] * count, "minutes": values},
        schema_overrides={"minutes": pl.Float64},
    )


@pytest.mark.parametrize(
    ("label", "after"), [(KNOWN_LATER, timedelta(days=2)), (KNOWN_BY_COLUMN, timedelta(hours=1))], ids=["after", "at"]
)
def test_a_label_is_known_by_its_column_or_some_time_after(label: Label, after: timedelta) -> None:
    """A row whose label is not known keeps its null."""
    labels = known_labels(_rows([-3.0, None]), label, ["id"], "at")
    assert labels.columns == ["id", LABEL, KNOWN_AT]
    assert labels[LABEL].to_list() == [-3.0, None]
    assert labels[KNOWN_AT].to_list() == [AT + after] * 2


@pytest.mark.parametrize("strange", [float("inf"), float("-inf"), float("nan")])
def test_a_label_that_is_no_number_is_refused_by_its_row(strange: float) -> None:
    """A single one would spoil every mean."""
    with pytest.raises(ContractError, match=rf"label minutes: got \({strange}, 1\), expected finite numbers"):
        known_labels(_rows([0.0, strange, None]), KNOWN_LATER, ["id"], "at")


@pytest.mark.parametrize("dtype", [pl.Boolean, pl.Int64])
def test_labels_of_every_type_are_taken(dtype: pl.DataType) -> None:
    """As they are."""
    labels = known_labels(_rows([0.0, 1.0, None]).cast({"minutes": dtype}), KNOWN_LATER, ["id"], "at")
    assert labels[LABEL].to_list() == [0, 1, None]
