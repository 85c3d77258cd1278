"""The encoder: numbers stay, strings become codes of the vocabulary, the unknown becomes NaN and is counted."""

import json

import numpy as np
import polars as pl
import pytest

from ml_platform.contracts.errors import SchemaMismatch
from ml_platform.features.encoding import Encoder

TRAINING = pl.DataFrame(
    {"carrier": ["b", "a", None, "b"], "distance": [1, 2, 3, None], "is_big": [True, None, False, True]}
)
COLUMNS = ["distance", "carrier", "is_big"]


def test_codes_follow_the_sorted_vocabulary() -> None:
    """Row order in training does not matter; nulls are NaN."""
    encoder = Encoder.fit(TRAINING, COLUMNS)
    expected = [[1, 1, 1], [2, 0, np.nan], [3, np.nan, 0], [np.nan, 1, 1]]
    np.testing.assert_array_equal(encoder.encode(TRAINING), expected)
    np.testing.assert_array_equal(Encoder.fit(TRAINING.reverse(), COLUMNS).encode(TRAINING), expected)
    assert encoder.categorical == ["carrier"]


def test_unseen_is_nan_and_counted() -> None:
    """A new category is served as missing; nulls are not counted."""
    encoder, rows = Encoder.fit(TRAINING, ["carrier"]), pl.DataFrame({"carrier": ["a", "x", None, "y"]})
    matrix = encoder.encode(rows)
    np.testing.assert_array_equal(matrix, [[0], [np.nan], [np.nan], [np.nan]])
    assert encoder.unseen(rows) == encoder.unseen(rows, matrix) == {"carrier": 2}
    assert encoder.unseen(TRAINING) == {}


def test_json_gives_it_back() -> None:
    """The server's encoder is the trained one."""
    encoder = Encoder.fit(TRAINING, COLUMNS)
    assert Encoder.from_json(json.loads(json.dumps(encoder.to_json()))) == encoder


def test_empty_and_all_null_frames_encode() -> None:
    """No rows give no rows; a column of nulls gives NaN."""
    encoder = Encoder.fit(TRAINING, COLUMNS)
    assert encoder.encode(TRAINING.clear()).shape == (0, 3)
    nulls = pl.DataFrame({name: [None] for name in COLUMNS})
    assert np.isnan(encoder.encode(nulls)).all()


def test_changed_kind_is_refused() -> None:
    """A number where training had strings is no unseen category."""
    encoder = Encoder.fit(TRAINING, COLUMNS)
    with pytest.raises(SchemaMismatch, match="feature carrier: got Int64, expected a string"):
        encoder.encode(TRAINING.with_columns(carrier=1).cast({"carrier": pl.Int64}))
    with pytest.raises(SchemaMismatch, match="feature distance: got String, expected a number"):
        encoder.encode(TRAINING.with_columns(distance=pl.lit("1")))
    with pytest.raises(SchemaMismatch, match="features: got no column is_big"):
        encoder.encode(TRAINING.drop("is_big"))


def test_times_are_no_features() -> None:
    """A time must be derived from first."""
    with pytest.raises(SchemaMismatch, match="feature at: got Date"):
        Encoder.fit(pl.DataFrame({"at": [None]}, schema={"at": pl.Date}), ["at"])
