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
    assert encoder.unseen(rows) == {"carrier": 2}
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


def _draw(rng: np.random.Generator, kind: str, count: int) -> pl.Series:
    """Draw values of a kind of feature, away from 0."""
    match kind:
        case "float":
            return pl.Series(rng.normal(288, 9, count))
        case "int":
            return pl.Series(rng.integers(5, 99, count))
        case "bool":
            return pl.Series(rng.random(count) < 0.7)
        case _:
            return pl.Series(rng.choice(["a", "b", "c"], count, p=[0.2, 0.5, 0.3]))


@pytest.mark.parametrize("kind", ["float", "int", "bool", "string"])
@pytest.mark.parametrize("seed", range(5))
def test_only_what_was_never_missing_is_imputed(kind: str, seed: int) -> None:
    """From the rows of the fit alone, by the median or the most frequent value, and each is counted."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 60))
    values = _draw(rng, kind, count)
    is_gap = pl.Series([True, *(rng.random(count - 1) < 0.2).tolist()])
    train = pl.DataFrame({"full": values, "gaps": values.set(is_gap, None)})
    encoder = Encoder.fit(train, train.columns)
    assert list(encoder.fills) == ["full"]
    expected = values.sort()[(count - 1) // 2] if kind in ("float", "int") else values.drop_nulls().mode().sort()[0]
    assert encoder.fills["full"] == expected
    asked = pl.DataFrame({"full": [None, expected], "gaps": [None, None]}, schema=train.schema)
    got = Encoder.from_json(json.loads(json.dumps(encoder.to_json()))).encode_counted(asked)
    assert got.matrix[0, 0] == got.matrix[1, 0]
    assert np.isnan(got.matrix[:, 1]).all()
    assert (got.imputed, got.unseen) == ({"full": 1}, {})


def test_not_a_number_is_missing_too() -> None:
    """Whether it comes in training or in a request."""
    train = pl.DataFrame({"full": [1.0, 2.0, 3.0], "gaps": [1.0, np.nan, 3.0]})
    encoder = Encoder.fit(train, train.columns)
    got = encoder.encode_counted(pl.DataFrame({"full": [np.nan], "gaps": [np.nan]}))
    np.testing.assert_array_equal(got.matrix, [[2.0, np.nan]])
    assert got.imputed == {"full": 1}


def test_unseen_is_counted_apart_from_imputed() -> None:
    """A null takes the most frequent word; a new word takes none."""
    encoder = Encoder.fit(pl.DataFrame({"carrier": ["a", "b", "b"]}), ["carrier"])
    got = encoder.encode_counted(pl.DataFrame({"carrier": ["a", "x", None, None]}))
    np.testing.assert_array_equal(got.matrix, [[0], [np.nan], [1], [1]])
    assert (got.unseen, got.imputed) == ({"carrier": 1}, {"carrier": 2})


def test_an_encoder_of_before_fills_encodes_as_it_did() -> None:
    """What a bundle written earlier holds."""
    encoder = Encoder.from_json({"columns": ["x", "w"], "vocabularies": {"w": ["a"]}})
    got = encoder.encode_counted(pl.DataFrame({"x": [None], "w": [None]}, schema={"x": pl.Int64, "w": pl.String}))
    assert np.isnan(got.matrix).all()
    assert (got.unseen, got.imputed) == ({}, {})


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
