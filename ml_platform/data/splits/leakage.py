"""The leakage certificate: what of a training set could tell a model what it may not know when it is asked.

Computed from the rows themselves, so that it holds for what was written, however it was cut. Anything violated stops
training; what is also met in honest data only warns.
"""

from collections.abc import Iterator
from itertools import pairwise

import polars as pl

from ml_platform.contracts.errors import EXAMPLES_AT_MOST, examples
from ml_platform.contracts.records import LeakageCertificate, LeakageFinding
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.data.calendar import Calendar
from ml_platform.data.splits.equations_finding import equations_finding
from ml_platform.data.splits.folds import fold_rows, rolling_folds
from ml_platform.data.splits.parts import KNOWN_AT, LABEL, PART, PARTS, boundaries, known_before
from ml_platform.data.splits.telling import pure_values, strengths

STRENGTH_AT_MOST = {"binary": 0.99, "multiclass": 0.99, "regression": 0.995}  # area under the curve, rank correlation
TWINS_AT_MOST = 0.01  # share of the holdout, beyond which twins in train are named
PURE_SHARE_AT_LEAST = 0.1  # share of the rarer class that one pure value must hold to count as a leak
ASKED_ROWS_AT_MOST = 100_000  # for what is estimated; what is counted is counted over all rows
EQUATION_ROWS_AT_MOST = 20_000  # on which equations are verified


def certify(rows: pl.DataFrame, spec: PipelineSpec, as_of: str) -> LeakageCertificate:
    """Look for everything that a training set must not hold.

    Parameters
    ----------
    rows : (n_rows, ...)
        A training set: key, event time, features, `label`, `label_known_at` and `part`, in any order.
    """
    counts = dict(rows.group_by(PART).len().iter_rows())
    return LeakageCertificate(
        pipeline=spec.name,
        as_of=as_of,
        rows={part: counts.get(part, 0) for part in PARTS},
        findings=tuple(_findings(rows, spec, as_of)),
    )


def _findings(rows: pl.DataFrame, spec: PipelineSpec, as_of: str) -> Iterator[LeakageFinding]:
    calendar = Calendar(spec.partitions)
    yield _keys(rows, spec)
    yield _windows(rows, spec, calendar, as_of)
    yield _labels(rows, spec, calendar, as_of)
    if spec.split.by is not None:
        yield _groups(rows, spec.split.by)
    if spec.split.folds:
        yield _folds(rows, spec, calendar, as_of)
    yield _twins(rows, spec)
    asked = _some(rows, spec)
    yield _features(asked, spec)
    if spec.label.task == "binary":
        yield _values(asked, spec)
    yield equations_finding(_spaced(rows, spec, max(1, -(-len(rows) // EQUATION_ROWS_AT_MOST))), spec)


def _some(rows: pl.DataFrame, spec: PipelineSpec) -> pl.DataFrame:
    """Give rows evenly spaced in time, as many as an estimate needs."""
    step = -(-len(rows) // ASKED_ROWS_AT_MOST)
    return rows if step <= 1 else _spaced(rows, spec, step)


def _spaced(rows: pl.DataFrame, spec: PipelineSpec, step: int) -> pl.DataFrame:
    """Return every so many rows, in the order of time."""
    order = rows.select(_named(spec)).with_row_index("__row").sort(spec.event_time, *spec.key)["__row"]
    return rows[order.gather_every(step)]


def _named(spec: PipelineSpec) -> list[str]:
    """Give the columns that tell which row is meant: a key may hold the event time."""
    return list(dict.fromkeys([*spec.key, spec.event_time]))


def _keys(rows: pl.DataFrame, spec: PipelineSpec) -> LeakageFinding:
    repeated = rows.group_by(spec.key).len().filter(pl.col("len") > 1).drop("len")
    found = rows.join(repeated, on=spec.key, how="semi", nulls_equal=True).group_by(spec.key).agg(_parts_of())
    good = f"Each {', '.join(spec.key)} stands on one row."
    return _finding("no_key_on_two_rows", found.sort(spec.key), good, "keys stand on several rows")


def _windows(rows: pl.DataFrame, spec: PipelineSpec, calendar: Calendar, as_of: str) -> LeakageFinding:
    at, part = pl.col(spec.event_time), pl.col(PART)
    windows = boundaries(spec.split, calendar, as_of).items()
    inside = [(part == name) & (at >= start) & (at < end) for name, (start, end) in windows]
    is_inside = pl.any_horizontal(inside).fill_null(value=False)
    strays = rows.filter(~is_inside).select(*_named(spec), part).sort(pl.all())
    name, good = "rows_lie_in_the_window_of_their_part", "Every row lies in the window of its part."
    return _finding(name, strays, good, "rows lie outside the window of their part", **_gaps(rows, spec))


def _gaps(rows: pl.DataFrame, spec: PipelineSpec) -> dict[str, float]:
    """Give the hours between the last event of a part and the first of the next."""
    ends = rows.group_by(PART).agg(first=pl.col(spec.event_time).min(), last=pl.col(spec.event_time).max())
    found = {part: (first, last) for part, first, last in ends.iter_rows()}
    between = [pair for pair in pairwise(PARTS) if spec.split.kind == "time" and {*pair} <= found.keys()]
    return {
        f"hours_before_{after}": (found[after][0] - found[before][1]).total_seconds() / 3600
        for before, after in between
        if None not in (*found[after], *found[before])
    }


def _labels(rows: pl.DataFrame, spec: PipelineSpec, calendar: Calendar, as_of: str) -> LeakageFinding:
    limits = known_before(spec.split, calendar, as_of)
    known = [(pl.col(PART) == part) & (pl.col(KNOWN_AT) < at) for part, at in limits.items()]
    is_known = pl.any_horizontal(known).fill_null(value=False) & pl.col(LABEL).is_not_null()
    late = rows.filter(~is_known).select(*spec.key, PART, KNOWN_AT).sort(pl.all())
    good = "Every label was known " + (
        "before the next part began, the holdout's before the as-of."
        if spec.split.kind == "time"
        else "before the as-of."
    )
    return _finding("labels_were_known_in_time", late, good, "labels were not known in time")


def _groups(rows: pl.DataFrame, by: str) -> LeakageFinding:
    placed = rows.select(by, PART).unique()
    torn = placed.group_by(by).agg(_parts_of()).filter(pl.col("parts").str.contains("+", literal=True)).sort(by)
    good = f"Each {by} lies in one part."
    return _finding("no_group_in_two_parts", torn, good, f"values of {by} lie in several parts", groups=len(placed))


def _folds(rows: pl.DataFrame, spec: PipelineSpec, calendar: Calendar, as_of: str) -> LeakageFinding:
    rows = rows.select(*_named(spec), KNOWN_AT, PART)
    at, strays, numbers = pl.col(spec.event_time), [], {}
    for number, fold in enumerate(rolling_folds(spec.split, calendar, as_of), start=1):
        placed = fold_rows(rows, fold, spec.event_time)
        is_train = pl.col(PART) == "train"
        is_late = is_train & ((at >= fold.validation.start) | (pl.col(KNOWN_AT) >= fold.validation.start))
        is_stray = is_late | (at >= boundaries(spec.split, calendar, as_of)["holdout"][0])
        strays.append(placed.filter(is_stray).select(pl.lit(f"fold {number}"), *spec.key, PART).sort(pl.all()))
        for part in PARTS[:2]:
            numbers[f"fold_{number}_{part}_rows"] = len(placed.filter(pl.col(PART) == part))
    good = f"{spec.split.folds} folds, in order of time and before the holdout."
    found = _finding("folds_keep_the_order_of_time", pl.concat(strays), good, "rows stray in folds", **numbers)
    bare = [name for name, count in numbers.items() if not count]
    if found.outcome == "violated" or not bare:
        return found
    return found.model_copy(update={"outcome": "warned", "sentence": f"Some folds are bare: {examples(bare)} is 0."})


def _twins(rows: pl.DataFrame, spec: PipelineSpec) -> LeakageFinding:
    """Count holdout rows that a fitted row equals in features and label; with few distinct values that is no leak."""
    hashes = rows.select(*spec.features.columns, LABEL).hash_rows().alias("hash")
    placed = rows.select(*spec.key, PART).with_columns(hashes)
    is_holdout = pl.col(PART) == "holdout"
    asked = placed.filter(is_holdout)
    twins = asked.join(placed.filter(~is_holdout), on="hash", how="semi").select(spec.key).sort(spec.key)
    share = len(twins) / max(len(asked), 1)
    return LeakageFinding(
        name="holdout_rows_are_new",
        outcome="warned" if share > TWINS_AT_MOST else "ok",
        sentence=f"{share:.1%} of the holdout's rows have a twin, in features and label, that a model is fitted on.",
        numbers={"twins": len(twins), "twin_share": share},
        examples=tuple(_texts(twins)),
    )


def _features(rows: pl.DataFrame, spec: PipelineSpec) -> LeakageFinding:
    found = strengths(rows, spec.features.columns, spec.label.task)
    told = {name: strength for name, strength in found.items() if strength is not None}
    measure = "rank correlation" if spec.label.task == "regression" else "area under the curve"
    over = {name: each for name, each in told.items() if each > STRENGTH_AT_MOST[spec.label.task]}
    leaks = [f"{name} ({measure} {over[name]:.4f})" for name in over if name not in spec.split.may_tell_label]
    allowed = [name for name in over if name in spec.split.may_tell_label]
    strongest = max(told, key=lambda name: told[name], default=None)
    good = f"The strongest is {strongest}, {measure} {told[strongest]:.4f}." if strongest else "Too few rows to tell."
    return LeakageFinding(
        name="no_feature_tells_the_label",
        outcome="violated" if leaks else "ok",
        sentence=f"Alone each tells the label: {examples(leaks)}."
        if leaks
        else good + (f" The spec allows {examples(allowed)}." if allowed else ""),
        numbers={
            "features": len(found),
            "features_judged": len(told),
            "strongest": told[strongest] if strongest else 0.0,
        },
        examples=tuple(leaks[:EXAMPLES_AT_MOST]),
    )


def _values(rows: pl.DataFrame, spec: PipelineSpec) -> LeakageFinding:
    columns = [name for name in spec.features.columns if name not in spec.split.may_tell_label]
    pure = pure_values(rows, columns, PURE_SHARE_AT_LEAST)
    leaks = [f"{each.feature} {each.value} ({each.rows} rows, {each.class_share:.0%} of the class)" for each in pure]
    return LeakageFinding(
        name="no_value_tells_the_label",
        outcome="violated" if leaks else "ok",
        sentence=f"Only one label comes with {examples(leaks)}."
        if leaks
        else "No category and no null comes with the rarer label alone, often enough to matter.",
        numbers={"violations": len(leaks)},
        examples=tuple(leaks[:EXAMPLES_AT_MOST]),
    )


def _finding(name: str, bad: pl.DataFrame, good: str, wrong: str, **numbers: float) -> LeakageFinding:
    """Give a finding that any bad row violates."""
    return LeakageFinding(
        name=name,
        outcome="violated" if len(bad) else "ok",
        sentence=f"{len(bad)} {wrong}, such as {', '.join(_texts(bad))}." if len(bad) else good,
        numbers={"violations": len(bad), **numbers},
        examples=tuple(_texts(bad)),
    )


def _parts_of() -> pl.Expr:
    return pl.col(PART).sort().str.join("+").alias("parts")


def _texts(rows: pl.DataFrame) -> list[str]:
    return [" ".join(str(value) for value in row) for row in rows.head(EXAMPLES_AT_MOST).iter_rows()]
