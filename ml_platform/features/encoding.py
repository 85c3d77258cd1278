"""The encoder: features as the one float matrix that models take.

It remembers the training vocabulary of each string column. A value it has never seen becomes NaN, which a model
treats as missing, and is counted so that people can see it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.contracts.errors import SchemaMismatch
from ml_platform.features.types import require_columns, widen_type


@dataclass(frozen=True)
class Encoder:
    """Columns in the model's order; `vocabularies` has the sorted training values of each string column.

    Parameters
    ----------
    columns : tuple of str
        All features.
    vocabularies : mapping of str to tuple of str
        The string columns among them.
    """

    columns: tuple[str, ...]
    vocabularies: Mapping[str, tuple[str, ...]]

    @classmethod
    def fit(cls, features: pl.DataFrame, columns: Sequence[str]) -> "Encoder":
        """Learn the vocabularies from training rows.

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
        return cls(tuple(columns), vocabularies)

    @property
    def categorical(self) -> list[str]:
        """The string columns, in the model's order."""
        return [name for name in self.columns if name in self.vocabularies]

    @cached_property
    def _codes(self) -> dict[str, dict[str | None, float]]:
        return {
            name: {word: float(code) for code, word in enumerate(words)} for name, words in self.vocabularies.items()
        }

    def encode(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """Give the matrix of some rows.

        Parameters
        ----------
        frame : pl.DataFrame
            At least the columns.

        Returns
        -------
        (n_rows, n_columns) array
            Numbers and bools as they are, strings as the index in the vocabulary; NaN where null or unseen.

        Raises
        ------
        SchemaMismatch
            If a column is missing or has changed its kind since the fit.
        """
        require_columns("features", frame, self.columns)
        matrix = np.empty((frame.height, len(self.columns)), dtype=np.float64)
        for index, name in enumerate(self.columns):
            matrix[:, index] = self._encode_column(frame[name])
        return matrix

    def unseen(self, frame: pl.DataFrame, matrix: NDArray[np.float64] | None = None) -> dict[str, int]:
        """Count the values outside the vocabulary; columns without any are left out, nulls do not count.

        Parameters
        ----------
        frame : pl.DataFrame
            As for `encode`.
        matrix : (n_rows, n_columns) array, optional
            What `encode` gave for it, where the caller has it already.
        """
        missing = np.isnan(self.encode(frame) if matrix is None else matrix).sum(axis=0)
        counts = {
            name: int(missing[index]) - frame[name].null_count()
            for index, name in enumerate(self.columns)
            if name in self.vocabularies
        }
        return {name: count for name, count in counts.items() if count}

    def to_json(self) -> dict[str, Any]:
        """Give a JSON object."""
        return {
            "columns": list(self.columns),
            "vocabularies": {name: list(self.vocabularies[name]) for name in self.categorical},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Encoder":
        """Read what `to_json` gave."""
        return cls(tuple(value["columns"]), {name: tuple(words) for name, words in value["vocabularies"].items()})

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


def _is_number(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)
