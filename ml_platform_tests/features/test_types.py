"""The five field types and what is brought to them."""

import polars as pl
import pytest

from ml_platform.contracts.errors import SchemaMismatch
from ml_platform.features.types import POLARS_TYPES, field_type, widen


def test_each_field_type_names_itself() -> None:
    """The table is its own inverse."""
    assert {name: field_type("x", dtype) for name, dtype in POLARS_TYPES.items()} == {
        name: name for name in POLARS_TYPES
    }


@pytest.mark.parametrize("dtype", [pl.Datetime("us"), pl.Date(), pl.List(pl.Int64)])
def test_other_types_are_refused(dtype: pl.DataType) -> None:
    """A naive time is no timestamp."""
    with pytest.raises(SchemaMismatch, match=r"x: got .* expected one of string"):
        field_type("x", dtype)


def test_widen_keeps_values() -> None:
    """Narrow columns become wide, the others stay."""
    frame = pl.DataFrame({"a": [1, None], "b": [True, False]}, schema={"a": pl.Int8, "b": pl.Boolean})
    assert widen(frame).schema == {"a": pl.Int64, "b": pl.Boolean}
    assert widen(frame)["a"].to_list() == [1, None]
