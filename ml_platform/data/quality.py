"""Judging rows: what breaks the schema goes to quarantine with its reason; too much of it and the partition fails."""

from dataclasses import dataclass

import pandas as pd
import pandera.pandas as pa
import polars as pl

from ml_platform.contracts.errors import QuarantineExceeded
from ml_platform.contracts.spec import Quality
from ml_platform.data.lake import PARTITION
from ml_platform.data.sources import read_as

REASON = "reason"


@dataclass(frozen=True)
class Validated:
    """Rows that keep the schema, and rows that do not, each of these with its `reason`."""

    kept: pl.DataFrame
    quarantined: pl.DataFrame

    def share_by_partition(self) -> dict[str, float]:
        """Give the share of quarantined rows for each partition that has rows."""
        bad = dict(self.quarantined.group_by(PARTITION).len().iter_rows())
        good = dict(self.kept.group_by(PARTITION).len().iter_rows())
        return {key: bad.get(key, 0) / (bad.get(key, 0) + good.get(key, 0)) for key in sorted({*bad, *good})}


def validate(rows: pl.DataFrame, schema: pa.DataFrameSchema, key: list[str]) -> Validated:
    """Hold each row against the schema, all rules at once; of a partition's good rows with one key, the first is kept.

    Parameters
    ----------
    rows : (n_rows, n_columns)
        Raw rows, with `partition`.
    """
    frame = read_as(rows.drop(PARTITION).to_pandas(), schema)
    reasons = _broken_rules(frame, schema)
    good = frame[key].assign(**{PARTITION: rows[PARTITION].to_numpy()}).drop(index=list(reasons))
    for row in good.index[good.duplicated()]:
        reasons[int(row)] = f"repeated key ({', '.join(key)})"
    marked = rows.with_columns(pl.Series(REASON, [reasons.get(row) for row in range(len(frame))], pl.String))
    return Validated(
        kept=marked.filter(pl.col(REASON).is_null()).drop(REASON),
        quarantined=marked.filter(pl.col(REASON).is_not_null()),
    )


def enforce(validated: Validated, quality: Quality) -> None:
    """Refuse partitions in which too large a share of rows is bad.

    Raises
    ------
    QuarantineExceeded
        Names the partitions and the commonest reason.
    """
    over = {key: share for key, share in validated.share_by_partition().items() if share > quality.quarantine_at_most}
    if not over:
        return
    worst = max(over, key=lambda key: over[key])
    reason = validated.quarantined.filter(pl.col(PARTITION) == worst)[REASON].value_counts(sort=True)[REASON][0]
    raise QuarantineExceeded.because(
        f"partition {worst}" + (f" and {len(over) - 1} more" if len(over) > 1 else ""),
        got=f"{over[worst]:.1%} of rows quarantined, most often: {reason}",
        expected=f"at most {quality.quarantine_at_most:.1%}",
        hint="mend the source, or the rule in the schema, and materialize again",
    )


def _broken_rules(frame: pd.DataFrame, schema: pa.DataFrameSchema) -> dict[int, str]:
    """Give, for each row that breaks a rule, all the rules it breaks."""
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases
        if cases["index"].isna().any():
            raise
        reasons: dict[int, set[str]] = {}
        for row, context, column, check in cases[["index", "schema_context", "column", "check"]].itertuples(
            index=False
        ):
            reasons.setdefault(int(row), set()).add(f"{column}: {check}" if context == "Column" else str(check))
        return {row: "; ".join(sorted(broken)) for row, broken in reasons.items()}
    return {}
