"""Judging rows: what breaks the schema, or repeats a key, goes to quarantine, with all that is wrong with it."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pandera.pandas as pa
import polars as pl

from ml_platform.contracts.errors import SchemaMismatch
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.quality.row_rules import take_apart
from ml_platform.data.sources.python import read_as

REASON = "reason"
ORIGIN = "origin"
CONTENT = "content"
QUARANTINE = (PARTITION, REASON, ORIGIN, CONTENT)
REPEATED = "repeated key"
_ROW = "row"
_REASONS = {_ROW: pl.UInt32, REASON: pl.String}


@dataclass(frozen=True)
class Validated:
    """Rows that keep the schema, and rows that do not, each of these with its `reason`."""

    kept: pl.DataFrame
    quarantined: pl.DataFrame


def validate(rows: pl.DataFrame, schema: pa.DataFrameSchema, key: list[str]) -> Validated:
    """Hold each row against the schema, all rules at once; of a partition's good rows with one key, the first is kept.

    Parameters
    ----------
    rows : (n_rows, n_columns)
        Raw rows, with `partition`.

    Raises
    ------
    SchemaMismatch
        If a column is missing or cannot be read as its type, or a rule does not judge each row.
    """
    rules = take_apart(schema, rows.schema)
    masks = rows.select(is_broken.alias(str(place)) for place, (_, is_broken) in enumerate(rules.broken))
    broken = [
        _reasons(mask.arg_true(), reason)
        for mask, (reason, _) in zip(masks, rules.broken, strict=True)
        if mask.any()
    ]  # fmt: skip
    if rules.others is not None:
        broken += _told_by_pandera(rows, rules.others, rules.by_partition)
    reasons = pl.concat([pl.DataFrame(schema=_REASONS), *broken]).unique()
    reasons = pl.concat([reasons, _repeated(rows, key, reasons[_ROW])])
    if reasons.is_empty():
        return Validated(rows, rows.clear().with_columns(pl.lit(None, pl.String).alias(REASON)))
    told = reasons.sort(_ROW, REASON).group_by(_ROW, maintain_order=True).agg(pl.col(REASON).str.join("; "))
    is_bad = pl.zeros(len(rows), pl.Boolean, eager=True).scatter(told[_ROW], True)
    return Validated(rows.filter(~is_bad), rows.filter(is_bad).with_columns(told[REASON]))


def quarantine_rows(validated: Validated, rejected: pl.DataFrame) -> pl.DataFrame:
    """Give the rows of the quarantine: what the source could not read, and what broke a rule.

    Parameters
    ----------
    rejected : (n_rows, 4)
        As the source gives them: partition, reason, origin and content.

    Returns
    -------
    (n_rows, 4)
        The same columns; the content of a row that broke a rule is its JSON.
    """
    bad = validated.quarantined
    content = pl.struct(pl.exclude(PARTITION, REASON)).struct.json_encode()
    told = bad.select(PARTITION, REASON, pl.lit("raw").alias(ORIGIN), content.alias(CONTENT))
    return pl.concat([rejected.select(pl.col(QUARANTINE).cast(pl.String)), told])


def _told_by_pandera(rows: pl.DataFrame, schema: pa.DataFrameSchema, by_partition: bool) -> list[pl.DataFrame]:
    numbered = rows.with_row_index(_ROW)
    parts = numbered.partition_by(PARTITION, maintain_order=True) if by_partition else [numbered]
    found: list[pl.DataFrame] = []
    for part in parts:
        frame = part.select(name for name in schema.columns if name in part.columns).to_pandas()
        cases = _failure_cases(read_as(frame, schema), schema)
        found.append(cases.with_columns(part[_ROW].gather(cases[_ROW])))
    return found


def _failure_cases(frame: pd.DataFrame, schema: pa.DataFrameSchema) -> pl.DataFrame:
    """Give each rule that a row breaks."""
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases
    else:
        return pl.DataFrame(schema=_REASONS)
    if cases["index"].isna().any():
        whole = cases.loc[cases["index"].isna(), "check"].iloc[0]
        raise SchemaMismatch.because(
            f"schema: rule {whole}", got="one answer for all rows, or an error", expected="true or false for each row",
            hint="return a boolean column; what holds for a whole partition belongs into quality",
        )  # fmt: skip
    is_of_column = cases["schema_context"] == "Column"
    check = cases["check"].astype(str)
    reason: Any = (cases["column"].astype(str) + ": " + check).where(is_of_column, check)
    return pl.DataFrame({_ROW: cases["index"].astype(int).to_numpy(), REASON: reason.to_list()}, schema=_REASONS)


def _repeated(rows: pl.DataFrame, key: list[str], bad: pl.Series) -> pl.DataFrame:
    """Find the good rows whose key an earlier good row of their partition has."""
    hashes = rows.select(pl.struct(PARTITION, *key).hash()).to_series().sort()
    if not (hashes == hashes.shift()).any():  # far cheaper than looking at the keys themselves
        return pl.DataFrame(schema=_REASONS)
    keys = rows.select(PARTITION, *key).with_row_index(_ROW)
    good = keys.join(bad.unique().to_frame(), on=_ROW, how="anti", maintain_order="left")
    again = good.filter(pl.struct(PARTITION, *key).is_first_distinct().not_())
    return _reasons(again[_ROW], f"{REPEATED} ({', '.join(key)})")


def _reasons(rows: pl.Series, reason: str) -> pl.DataFrame:
    return pl.DataFrame({_ROW: rows.cast(pl.UInt32), REASON: pl.repeat(reason, len(rows), eager=True)}, schema=_REASONS)
