"""Drift: how far the current window's inputs left the champion's training rows.

Everything here is arithmetic on two profiles of one reference. A window with a data fault is not judged: quality comes
before drift. What follows from a report is decided in `ml_platform.monitoring.policy`.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from ml_platform.contracts.errors import ShapeMismatch, examples
from ml_platform.contracts.records import ColumnDrift, DriftReport, Window
from ml_platform.contracts.spec import Monitoring
from ml_platform.monitoring.distances import ks_statistic, population_stability
from ml_platform.monitoring.profiles import NumericColumn, Profile

# A feed that is down for two days of a week adds 0.29 nulls to its columns; the weather's own gaps add up to 0.22
# (flight_delays, air pressure, weeks of January to May 2013 against the training rows of 2013-03-01 and 2013-05-01).
NULL_SHARE_RISE_AT_MOST = 0.25

Outcome = Literal["stable", "drifted", "inconclusive"]


def compare(reference: Profile, current: Profile, monitoring: Monitoring) -> tuple[ColumnDrift, ...]:
    """Compare the current window with the reference, column by column.

    Parameters
    ----------
    reference, current : Profile
        Two profiles of one reference.
    monitoring : Monitoring
        A column has drifted when its index is above `psi_at_most`.

    Raises
    ------
    ShapeMismatch
        If the profiles were made under different references.
    """
    if reference.reference != current.reference:
        raise ShapeMismatch.because(
            "current profile",
            got=f"reference {current.reference[:12]}",
            expected=f"reference {reference.reference[:12]}",
            hint="profile the window under the present champion's reference",
        )
    return tuple(_compare_column(name, reference, current, monitoring.psi_at_most) for name in reference.columns)


def report(
    *,
    pipeline: str,
    as_of: str,
    window: Window,
    champion: int | None,
    champion_as_of: str | None,
    reference: Profile | None,
    current: Profile | None,
    missing: Sequence[str],
    monitoring: Monitoring,
) -> DriftReport:
    """Report on one window against the champion's training rows.

    Parameters
    ----------
    pipeline, as_of, window
        What was watched.
    champion, champion_as_of : int and str, or None
        Whose training rows the reference is.
    reference, current : Profile or None
        Two profiles of one reference; None when there is no champion.
    missing : sequence of str
        Partitions of the window that have no rows: with any, the window is `inconclusive`. So it is when a column's
        null share rose by more than `NULL_SHARE_RISE_AT_MOST` over the reference's.
    monitoring : Monitoring
        `inconclusive` below `rows_at_least` rows, `drifted` from `drifted_columns_at_least` columns on.

    Returns
    -------
    DriftReport
        `rows` are the rows that were compared: 0 without a champion.
    """
    rows: int = 0
    columns: tuple[ColumnDrift, ...] = ()
    outcome: Outcome = "inconclusive"
    sentence = "there is no champion whose training rows this window could be compared with"
    if champion is not None and reference is not None and current is not None:
        rows, columns = current.rows, compare(reference, current, monitoring)
        against = f"{rows:,} rows against {reference.rows:,} that champion v{champion} was trained on"
        fault = _data_fault(missing, columns)
        outcome, finding = ("inconclusive", fault) if fault else _judge(min(rows, reference.rows), columns, monitoring)
        sentence = f"{finding}; {against}"
    return DriftReport(
        pipeline=pipeline,
        as_of=as_of,
        champion=champion,
        champion_as_of=champion_as_of,
        window=window,
        rows=rows,
        outcome=outcome,
        sentence=sentence,
        columns=columns,
    )


def worst_first(columns: Iterable[ColumnDrift]) -> list[ColumnDrift]:
    """Sort columns by their index, the largest first, then by name."""
    return sorted(columns, key=lambda column: (-column.psi, column.name))


def _data_fault(missing: Sequence[str], columns: Iterable[ColumnDrift]) -> str | None:
    if missing:
        return f"data fault: no rows in {examples(missing)}"
    faulty = [
        column.name
        for column in columns
        if column.current_null_share - column.reference_null_share > NULL_SHARE_RISE_AT_MOST
    ]
    if faulty:
        return f"data fault: null share rose by more than {NULL_SHARE_RISE_AT_MOST:g} in {examples(faulty)}"
    return None


def _judge(rows: int, columns: tuple[ColumnDrift, ...], monitoring: Monitoring) -> tuple[Outcome, str]:
    if rows < monitoring.rows_at_least:
        return "inconclusive", f"too few rows, needed: {monitoring.rows_at_least:,} on each side"
    drifted = [column for column in columns if column.is_drifted]
    worst = worst_first(drifted) or worst_first(columns)[:1]
    named = examples(f"{column.name} {column.psi:.3f}" for column in worst)
    count = f"{len(drifted)} of {len(columns)} columns drifted (psi above {monitoring.psi_at_most:g})"
    is_drifted = len(drifted) >= monitoring.drifted_columns_at_least
    return ("drifted" if is_drifted else "stable"), f"{count}, worst: {named}"


def _compare_column(name: str, before: Profile, now: Profile, psi_at_most: float) -> ColumnDrift:
    reference, current = before.columns[name], now.columns[name]
    psi, ks = population_stability(reference, current), None
    if isinstance(reference, NumericColumn) and isinstance(current, NumericColumn):
        ks = ks_statistic(reference, current)
    return ColumnDrift(
        name=name,
        kind=reference.kind,
        psi=psi,
        ks=ks,
        reference_null_share=reference.nulls / max(before.rows, 1),
        current_null_share=current.nulls / max(now.rows, 1),
        is_drifted=psi > psi_at_most,
    )
