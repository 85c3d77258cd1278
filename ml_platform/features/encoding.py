"""The encoder: features as the one float matrix that models take.

It remembers the training vocabulary of each string column, and for each column that was never missing in training the
value that stands in for a missing one: such a model has learnt nothing of missing values, and LightGBM would read one
as 0. A word that training has not seen becomes NaN. Both are counted, so that people can see them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.contracts.errors import SchemaMismatch
from ml_platform.features.types import require_columns, widen_type


@dataclass(frozen=True)
class Encoded:
    """Rows as a matrix, and how many values of each column it does not hold as they came; columns without any are out.

    Parameters
    ----------
    matrix : (n_rows, n_columns) array
        Numbers and bools as they are, strings as the index in the vocabulary. A missing value is NaN, or the fill of a
        column that has one; NaN where a word is unseen.
    unseen : dict of str to int
        Words outside the vocabulary.
    imputed : dict of str to int
        Missing values for which the fill stands.
    """

    matrix: NDArray[np.float64]
    unseen: dict[str, int]
    imputed: dict[str, int]


@dataclass(frozen=True)
class Encoder:
    """Columns in the model's order; `vocabularies` has the sorted training values of each string column.

    Parameters
    ----------
    columns : tuple of str
        All features.
    vocabularies : mapping of str to tuple of str
        The string columns among them.
    fills : mapping of str to float or str
        What stands in for a missing value, of the columns that were never missing in training: the median of numbers
        (the lower one of two), the most frequent of words and bools.
    """

    columns: tuple[str, ...]
    vocabularies: Mapping[str, tuple[str, ...]]
    fills: Mapping[str, float | str] = field(default_factory=dict[str, float | str])

    @classmethod
    def fit(cls, features: pl.DataFrame, columns: Sequence[str]) -> "Encoder":
        """Learn vocabularies and fills from training rows.

        Raises
        ------
        SchemaMismatch
            If a column is missing, or is neither number, bool nor string.
        """
        require_columns("features", features, tuple(columns))
        vocabularies: dict[str, tuple[str, ...]] = {}
        for name in columns:
            dtype = features.schema[name]
            if widen_type(dtype) == pl.String:
                vocabularies[name] = tuple(features[name].cast(pl.String).drop_nulls().unique().sort())
            elif not _is_number(dtype):
                raise SchemaMismatch.because(
                    f"feature {name}",
                    got=dtype,
                    expected="a number, bool or string",
                    hint="derive one in features.python",
                )
        plain = cls(tuple(columns), vocabularies)
        return replace(plain, fills=_learn_fills(plain, features))

    @property
    def categorical(self) -> list[str]:
        """The string columns, in the model's order."""
        return [name for name in self.columns if name in self.vocabularies]

    @cached_property
    def _codes(self) -> dict[str, dict[str | None, float]]:
        codes: dict[str, dict[str | None, float]] = {}
        for name, words in self.vocabularies.items():
            codes[name] = {word: float(code) for code, word in enumerate(words)}
            codes[name][None] = codes[name].get(str(self.fills[name]), np.nan) if name in self.fills else np.nan
        return codes

    @cached_property
    def _number_fills(self) -> NDArray[np.float64]:
        """The fill of each column of numbers or bools; NaN of all others."""
        is_filled = [name in self.fills and name not in self.vocabularies for name in self.columns]
        fills = [self.fills[name] if has else np.nan for name, has in zip(self.columns, is_filled, strict=True)]
        return np.array(fills, dtype=np.float64)

    def encode(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """Return the matrix of some rows; see `encode_counted`."""
        return self.encode_counted(frame).matrix

    def encode_counted(self, frame: pl.DataFrame) -> Encoded:
        """Return the matrix of some rows, and the counts of unseen words and of missing values that were imputed.

        Parameters
        ----------
        frame : pl.DataFrame
            At least the columns.

        Raises
        ------
        SchemaMismatch
            If a column is missing or has changed its kind since the fit.
        """
        require_columns("features", frame, self.columns)
        matrix = np.empty((frame.height, len(self.columns)), dtype=np.float64)
        for index, name in enumerate(self.columns):
            matrix[:, index] = self._encode_column(frame[name])
        is_nan = np.isnan(matrix)
        if not is_nan.any() and not any(frame[name].null_count() for name in self.categorical):
            return Encoded(matrix, {}, {})
        matrix = np.where(is_nan, self._number_fills, matrix)
        return Encoded(matrix, *self._count(frame, is_nan.sum(axis=0)))

    def _count(self, frame: pl.DataFrame, not_numbers: NDArray[np.int_]) -> tuple[dict[str, int], dict[str, int]]:
        """Count unseen words and imputed values by column, from how many NaN each had before it was filled."""
        unseen, imputed = dict[str, int](), dict[str, int]()
        for name, count in zip(self.columns, not_numbers.tolist(), strict=True):
            is_filled = name in self.fills
            if name not in self.vocabularies:
                imputed[name] = count if is_filled else 0
                continue
            nulls = frame[name].null_count()
            unseen[name] = count if is_filled else count - nulls
            imputed[name] = nulls if is_filled else 0
        return _above_0(unseen), _above_0(imputed)

    def unseen(self, frame: pl.DataFrame) -> dict[str, int]:
        """Count the words outside the vocabulary; columns without any are left out, nulls do not count."""
        return self.encode_counted(frame).unseen

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; the keys of `fills` are the columns that were never missing in training."""
        return {
            "columns": list(self.columns),
            "vocabularies": {name: list(self.vocabularies[name]) for name in self.categorical},
            "fills": dict(self.fills),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Encoder":
        """Read what `to_json` gave; an encoder of before fills has none, and encodes as it always did."""
        words = {name: tuple(words) for name, words in value["vocabularies"].items()}
        return cls(tuple(value["columns"]), words, dict(value.get("fills", {})))

    def _encode_column(self, column: pl.Series) -> NDArray[np.float64]:
        codes = self._codes.get(column.name)
        is_fit = _is_number(column.dtype) if codes is None else widen_type(column.dtype) == pl.String
        if not is_fit and column.dtype != pl.Null:
            raise SchemaMismatch.because(
                f"feature {column.name}",
                got=column.dtype,
                expected="a number or bool" if codes is None else "a string",
                hint="a feature keeps the kind it was trained with",
            )
        if codes is None:
            return column.cast(pl.Float64).to_numpy()
        return np.array([codes.get(word, np.nan) for word in column.to_list()], dtype=np.float64)


def _learn_fills(plain: Encoder, features: pl.DataFrame) -> dict[str, float | str]:
    """Return what stands in for a missing value of each column that has none in the rows."""
    fills: dict[str, float | str] = {}
    for name, codes in zip(plain.columns, plain.encode(features).T, strict=True):
        known = codes[np.isfinite(codes)]
        if not len(known) or np.isnan(codes).any():
            continue
        if name in plain.vocabularies:
            fills[name] = plain.vocabularies[name][int(_most_frequent(known))]
        elif features.schema[name] == pl.Boolean:
            fills[name] = _most_frequent(known)
        else:
            fills[name] = float(np.quantile(known, 0.5, method="lower"))  # a value that was met, also of whole numbers
    return fills


def _most_frequent(codes: NDArray[np.float64]) -> float:
    values, counts = np.unique(codes, return_counts=True)
    return float(values[counts.argmax()])


def _above_0(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _is_number(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)
