"""A pipeline drafted from a sample: every choice made, with what the author should know of it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any

import polars as pl
import yaml

from ml_platform.authoring.clock import clock_features
from ml_platform.authoring.features import Features, LeftOut, choose_features
from ml_platform.authoring.gates import GateLine, draft_gates, predicted_of
from ml_platform.authoring.key import Key, choose_key
from ml_platform.authoring.levels import require_level, require_written
from ml_platform.authoring.margins import Recipe, Target, measure_margins
from ml_platform.authoring.sample import Sample
from ml_platform.authoring.span import DAYS, Span, choose_span
from ml_platform.authoring.target import require_quantile, require_target
from ml_platform.authoring.wanted import Wanted
from ml_platform.authoring.writing import render
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec.partitions import Cadence
from ml_platform.contracts.spec.parts import read_duration
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.splits.parts import DAY, KNOWN_AT, LABEL, PART

KNOWN_AFTER = "1d"
KNOWN_SHARE = 0.99  # of the targets, for whom a split waits
QUARANTINE_AT_LEAST = 0.05
TAKEN_NAMES = (PARTITION, DAY, LABEL, KNOWN_AT, PART)  # whatever their capital letters
TRAILING = 28
FOLDS_AT_MOST = 3  # of a search
P95_MS = 250  # of the served gate: a budget that a busy machine keeps too
PARTITION_LENGTHS: Mapping[Cadence, str] = {"day": "1d", "week": "1w", "month": "1mo"}


@dataclass(frozen=True)
class Draft:
    """The text of a pipeline, and the choices that an author wants to be told of."""

    name: str
    label: str
    text: str
    task: Task
    key: Key
    span: Span
    features: Features
    left_out: tuple[LeftOut, ...]
    derived: Mapping[str, str]
    assumed: str | None
    sample: Sample

    @property
    def description(self) -> str:
        """What the pipeline is for, in a sentence."""
        return self.attributes["description"]

    @property
    def attributes(self) -> dict[str, Any]:
        """What stands under `attributes:`."""
        return yaml.safe_load(self.text)["attributes"]


def draft(name: str, wanted: Wanted, sample: Sample) -> Draft:
    """Draft a pipeline.

    Raises
    ------
    SpecError
        If what the author said and what the sample holds do not make a pipeline.
    NotEnoughRows
        If there is too little to train on.
    """
    require_level(wanted.level)
    rows = sample.rows
    task = require_target(rows[wanted.label], wanted.task)
    require_quantile(task, wanted.quantile)
    key = choose_key(rows, wanted.time, wanted.label, wanted.key)
    features = choose_features(
        rows, wanted.label, task, wanted.time, spoken_for(wanted, sample, key), wanted.columns, sample.target_columns
    )
    span = choose_span(sample.rows_by_day, wanted.every, _known_after(wanted, rows))
    derived = clock_features(rows[wanted.time], features.kept)
    assumed = KNOWN_AFTER if wanted.known_after is None and wanted.known_at is None else None
    left_out = worth_telling(features, wanted, key, sample)
    text = render(dict(_values(name, wanted, sample, task, key, span, features, left_out, derived)))
    made = Draft(
        name, wanted.target_sql or wanted.label, text, task, key, span, features, left_out, derived, assumed, sample
    )
    require_written(wanted.level, made.attributes)
    return made


def _known_after(wanted: Wanted, rows: pl.DataFrame) -> timedelta:
    """Give how long after its event nearly every target is known."""
    if wanted.known_at is None:
        said = read_duration(wanted.known_after or KNOWN_AFTER)
        assert isinstance(said, timedelta)  # noqa: S101 - Wanted has seen to it
        return said
    seconds = (rows[wanted.known_at] - rows[wanted.time]).dt.total_seconds().quantile(KNOWN_SHARE)
    return timedelta(seconds=max(0.0, seconds or 0.0))


def spoken_for(wanted: Wanted, sample: Sample, key: Key) -> dict[str, str]:
    """Name the columns that are no features whatever they hold, and why."""
    taken = [name for name in sample.rows.columns if name.lower() in TAKEN_NAMES]
    parts = dict.fromkeys(taken, "the platform has a column of this name")
    parts |= dict.fromkeys(key.columns, "the key")
    if wanted.target_sql is not None:
        parts |= dict.fromkeys(sample.target_columns, f"the target is made of it: {wanted.target_sql}")
    if wanted.known_at is not None:
        parts[wanted.known_at] = "when the target became known"
    return parts | {wanted.label: "the target", wanted.time: "the time of the prediction"}


def worth_telling(features: Features, wanted: Wanted, key: Key, sample: Sample) -> tuple[LeftOut, ...]:
    """Give the columns left out whose reason is not plain from their part in the pipeline."""
    plain = (*key.columns, wanted.time, wanted.label)
    lacking = (LeftOut(name, f"{file} lacks it") for name, file in sample.missing.items())
    return (*(each for each in features.left_out if each.column not in plain), *lacking)


def _values(
    name: str,
    wanted: Wanted,
    sample: Sample,
    task: Task,
    key: Key,
    span: Span,
    features: Features,
    left_out: tuple[LeftOut, ...],
    derived: Mapping[str, str],
) -> Iterator[tuple[str, Any]]:
    """Give what the template asks for."""
    yield from {
        "name": name, "level": wanted.level, "timezone": wanted.timezone, "event_time": wanted.time,
        "description": f"Predicts {wanted.target_sql or wanted.label}, asked at {wanted.time}.",
        "sample_rows": len(sample.rows), "rows": sum(sample.rows_by_day.values()),
        "first_on": min(sample.rows_by_day), "last_on": max(sample.rows_by_day),
        "source": sample.source, "key": list(key.columns), "key_repeated": key.repeated,
        "every": span.every, "start": span.start, "end": span.end, "usual": span.usual,
        "inputs": list(features.kept), "derive": derived, "columns": [*features.kept, *derived],
        "left_out": left_out, "doubtful": features.doubtful,
    }.items()  # fmt: skip
    model = _model(wanted, span)
    yield "model", model
    yield "gates", _gates(wanted, sample, task, span, Recipe(model, [*features.kept, *derived], derived))
    known = {"known_at": wanted.known_at} if wanted.known_at else {"known_after": wanted.known_after or KNOWN_AFTER}
    yield "label", {"column": wanted.label, "task": task, **known}
    yield "known_assumed", wanted.known_at is None and wanted.known_after is None
    yield "split", _split(span, FOLDS_AT_MOST if wanted.level >= 3 else 0)
    # Rows without a time count with the first partition of their file: there they are many.
    faulty = sample.unreadable_share + sample.timeless / (sample.timeless + span.usual)
    yield "quarantine_at_most", max(QUARANTINE_AT_LEAST, math.ceil(150 * faulty) / 100)
    yield "rows_at_least", max(1, min(span.usual // 5, min(span.rows) // 2))
    yield "volume_change_at_most", _volume_change(span.rows)
    yield "null_shares", _null_shares(sample.rows, features.kept, wanted.time, span.usual)
    window = max(7, DAYS[span.every])
    drifted = max(1, len(features.kept) // 4)
    yield "monitoring", {"window": f"{window}d", "psi_at_most": 0.2, "drifted_columns_at_least": drifted}
    yield "cool_down", f"{max(window, span.held_out)}d"  # within it a champion has learnt from the holdout


def _model(wanted: Wanted, span: Span) -> dict[str, Any]:
    """Return the one model of the pipeline as it is written; a search chooses what it does not fix."""
    params: dict[str, Any] = {} if wanted.level >= 3 else {"learning_rate": 0.05, "num_leaves": 31}
    params |= {"min_data_in_leaf": 100 if span.history * span.usual > 20_000 * DAYS[span.every] else 20}
    quantile = {} if wanted.quantile is None else {"quantile": wanted.quantile}
    return {"kind": "lightgbm", **quantile, "params": params}


def _gates(wanted: Wanted, sample: Sample, task: Task, span: Span, recipe: Recipe) -> tuple[GateLine, ...]:
    target = Target(wanted.label, wanted.time, task, wanted.quantile, PARTITION_LENGTHS[span.every])
    drafted = draft_gates(predicted_of(task, wanted.quantile), measure_margins(sample.rows, target, recipe))
    return (*drafted, GateLine(_served(span), "the real server, in a fresh process, on the newest rows of the holdout"))


def _split(span: Span, folds_at_most: int) -> dict[str, Any]:
    parts = {
        "train": span.train, "train_at_least": span.train_at_least, "validation": span.held_out,
        "holdout": span.held_out, "embargo": span.delay, "label_delay": span.delay,
    }  # fmt: skip
    split: dict[str, Any] = {part: f"{days}d" for part, days in parts.items() if days}
    spare = span.history - span.train_at_least - span.delay  # what the folds before the newest may judge on
    folds = min(folds_at_most, 1 + max(0, spare) // span.held_out)
    return split | ({"folds": folds} if folds > 1 else {})


def _served(span: Span) -> dict[str, Any]:
    """Ask the real server for half of the rows of a usual holdout, at most as many as the gate asks by itself."""
    holdout = span.usual * span.held_out // DAYS[span.every]
    return {"kind": "served", "p95_ms": P95_MS, "rows": min(200, max(10, holdout // 2))}


def _volume_change(rows: tuple[int, ...]) -> float:
    """Allow some more change against the trailing median than the files show."""
    seen = [abs(now / median(rows[max(0, place - TRAILING) : place]) - 1) for place, now in enumerate(rows) if place]
    return max(0.5, math.ceil(1.25 * max(seen) * 20) / 20)


def _null_shares(rows: pl.DataFrame, names: tuple[str, ...], time: str, usual: int) -> dict[str, float]:
    """Allow each feature more missing values than its worst month has; where that is everything, nothing is said."""
    months = rows.group_by(pl.col(time).dt.truncate("1mo")).agg(pl.col(names).null_count() / pl.len())
    worst = {name: float(months[name].to_numpy().max()) for name in names}
    allowed = {name: share + max(0.05, 5 * math.sqrt(share * (1 - share) / usual)) for name, share in worst.items()}
    return {name: math.ceil(share * 100) / 100 for name, share in allowed.items() if share < 1}
