"""Which partitions are stale, on generated histories: exactly those whose inputs hold other rows than when made."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from ml_platform.contracts.errors import StaleInputs
from ml_platform.data.lake.freshness import NEVER_MADE, Freshness
from ml_platform.data.lake.recorded import recorded
from ml_platform.data.lake.tables import PARTITION, STATIC, Lake
from ml_platform.data.quality.verdicts import store_verdicts
from ml_platform.orchestration.feature_rows import make_features
from ml_platform.orchestration.freshness import (
    OTHER_PLAN,
    contiguous_runs,
    refuse_stale,
    require_current_training_set,
    stale_features,
    stale_partitions,
)
from ml_platform.orchestration.lookups import load_lookup
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform.orchestration.validated_asset import judge
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import FOLDER, NAME

pytestmark = DAGSTER

DAYS = [(date(2020, 1, 1) + timedelta(days=day)).isoformat() for day in range(12)]
AS_OFS = ["2020-01-07", "2020-01-10", "2020-01-12"]
SPAN_DAYS = 22  # of the split: train, validation and holdout
Found = dict[tuple[str, str], set[str]]  # stage and partition -> the inputs that changed


@cache
def _pipeline(reach_days: int) -> Pipeline:
    """Return the tiny pipeline with a window that reaches so many days back; none for 0."""
    attributes = yaml.safe_load((FOLDER / "defs.yaml").read_text())["attributes"]
    if reach_days:
        window = {"name": "late_share", "by": ["line"], "how": "share", "of": "is_late", "over": f"{reach_days}d"}
        features = attributes["features"]
        attributes["features"] = features | {"windows": [window], "columns": [*features["columns"], "late_share"]}
    return resolve(attributes, FOLDER / "defs.yaml", f"ml_platform_tests.pipelines.{NAME}")


@cache
def _raw(key: str) -> pl.DataFrame:
    return _pipeline(0).source.load([key]).rows.head(60)


@cache
def _road(key: str) -> pl.DataFrame:
    return load_lookup(_pipeline(0), "road", [key])


@dataclass
class History:
    """A lake that is written as the stages write it, and by its side a book of what every partition was made from.

    The book knows whole rows, no hashes, versions or commits.
    """

    lake: Lake
    chance: random.Random
    reach_days: int
    rows: dict[tuple[str, str], str] = field(default_factory=dict)
    made_from: dict[tuple[str, str], dict[tuple[str, str], str]] = field(default_factory=dict)
    made_by: dict[str, int] = field(default_factory=dict)

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline as it is now."""
        return _pipeline(self.reach_days)

    def note(self, table: str, keys: Iterable[str], frame: pl.DataFrame) -> None:
        """Remember what partitions hold."""
        for key in keys:
            own = frame.filter(pl.col(PARTITION) == key)
            names = sorted(own.columns)
            self.rows[table, key] = own.select(names).sort(names).write_csv() if len(own) else ""

    def made(self, table: str, key: str, inputs: Iterable[tuple[str, str]]) -> None:
        """Remember what a partition was made from."""
        self.made_from[table, key] = {each: self.rows.get(each, "") for each in inputs}

    # What may happen, each as the stage or somebody's hand does it.

    def change_raw(self) -> None:
        """Load a day again: equal rows, other rows, rows that break a rule, or none."""
        key = self.chance.choice(DAYS)
        rows, kind = _raw(key), self.chance.choice(["same", "other", "other", "other", "bad", "empty"])
        if kind == "other":
            rows = rows.with_columns(passengers=pl.col("passengers") * self.chance.uniform(0.5, 0.9))
        if kind == "bad":  # a third of the rows breaks a rule: the day is refused
            rows = rows.with_columns(passengers=pl.when(pl.int_range(pl.len()) < 20).then(-1.0).otherwise("passengers"))
        if kind == "empty":
            rows = rows.clear()
        self.lake.write("tiny/raw", rows, [key])
        self.note("raw", [key], rows)

    def judge(self) -> None:
        """Judge days that changed, or some others."""
        changed = [key for stage, key in self.expected() if stage == "validated" and self.chance.random() < 0.7]
        raw = [key for key in changed or self._some_days() if ("raw", key) in self.rows]
        for run in contiguous_runs(self.pipeline, raw):
            self.judge_run(run)

    def judge_run(self, keys: list[str]) -> None:
        """Judge days in a row, as the stage `validated` does."""
        own = recorded(self.lake, {})
        judged = judge(self.pipeline, own, keys)
        if judged.accepted:
            own.write("tiny/validated", judged.kept, judged.accepted)
            self.note("validated", judged.accepted, judged.kept)
        store_verdicts(own, NAME, judged.verdicts)
        for key in keys:
            self.made("validated", key, [("raw", key)])

    def change_road(self) -> None:
        """Load a day of a lookup again."""
        key = self.chance.choice(DAYS)
        scale = self.chance.choice([1.0, 0.5])
        rows = _road(key).with_columns(pl.col("ice") * scale)
        self.lake.write("tiny/road", rows, [key])
        self.note("road", [key], rows)

    def change_lines(self) -> None:
        """Load the lookup that knows no time again."""
        rows = pl.DataFrame(
            {"line": ["u1", "u2", "u3"], "stops": [10, 20, self.chance.choice([30, 31])], PARTITION: STATIC}
        )
        self.lake.write("tiny/lines", rows, [STATIC])
        self.note("lines", [STATIC], rows)

    def features(self) -> None:
        """Make the features of some days."""
        validated = [key for key in self._some_days() if ("validated", key) in self.rows]
        for run in contiguous_runs(self.pipeline, validated):
            self.features_run(run)

    def features_run(self, keys: list[str]) -> None:
        """Make the features of days in a row, as the stage `features` does."""
        own = recorded(self.lake, {})
        made = make_features(self.pipeline, own, keys)
        own.write("tiny/features", made, keys, lineage={"plan": self.pipeline.plan.digest}, evolve=True)
        self.note("features", keys, made)
        for key in keys:
            self.made("features", key, self._feature_inputs(key))
            self.made_by[key] = self.reach_days

    def cut(self) -> None:
        """Cut a training set."""
        as_of = self.chance.choice(AS_OFS)
        own, span = recorded(self.lake, {}), _days_before(as_of, SPAN_DAYS)
        rows = own.read("tiny/features", span).select("ride_id").with_columns(pl.lit(as_of).alias(PARTITION))
        own.read("tiny/validated", span)
        own.write("tiny/training_set", rows, [as_of])
        self.made("training_set", as_of, [(stage, key) for stage in ("features", "validated") for key in span])

    def change_plan(self) -> None:
        """Let another plan make the features from now on."""
        self.reach_days = self.chance.choice([0, 1, 3])

    def _some_days(self) -> list[str]:
        first = self.chance.randrange(len(DAYS))
        return DAYS[first : first + self.chance.choice([1, 1, 3, 12])]

    def _feature_inputs(self, key: str) -> list[tuple[str, str]]:
        """Return what features read, counted in days: a span of 24 hours may touch two days before an instant's own."""
        back = self.reach_days + 1 if self.reach_days else 0
        validated = [("validated", day) for day in [*_days_before(key, back), key]]
        return [*validated, *(("road", day) for day in [*_days_before(key, 1), key]), ("lines", STATIC)]

    # What must follow, counted from the book.

    def expected(self) -> Found:
        """Return what is stale, each with the inputs that are not what it was made from.

        Made from other rows than there are now; or never made, though there are rows.
        """
        found: Found = {}
        for key in DAYS:
            is_there = bool(self.rows.get(("validated", key)))
            found["validated", key] = self._changes("validated", key, never_made=bool(self.rows.get(("raw", key))))
            found["road", key] = {NEVER_MADE} if is_there and ("road", key) not in self.rows else set()
            if is_there or self.rows.get(("features", key)):
                found["features", key] = self._changes("features", key, never_made=True)
        for as_of in AS_OFS:
            found["training_set", as_of] = self._changes("training_set", as_of, never_made=False)
        return {of: changes for of, changes in found.items() if changes}

    def _changes(self, stage: str, key: str, *, never_made: bool) -> set[str]:
        made_from = self.made_from.get((stage, key))
        if made_from is None:
            return {NEVER_MADE} if never_made else set()
        if stage == "features" and self.made_by[key] != self.reach_days:
            return {OTHER_PLAN}
        return {f"{table}[{of}]" for (table, of), rows in made_from.items() if self.rows.get((table, of), "") != rows}


def _days_before(key: str, count: int) -> list[str]:
    first = date.fromisoformat(key)
    days = [(first - timedelta(days=back)).isoformat() for back in range(count, 0, -1)]
    return [day for day in days if day >= DAYS[0]]


def _history(folder: Path, seed: int) -> History:
    """Return a lake that was loaded whole, and then lived through some changes."""
    chance = random.Random(seed)  # noqa: S311 - made-up changes
    history = History(Lake(str(folder)), chance, [0, 1, 3][seed % 3])
    loaded = DAYS[chance.randrange(4) :][: chance.randrange(6, 12)]
    for key in loaded:
        history.lake.write("tiny/raw", _raw(key), [key])
        history.note("raw", [key], _raw(key))
        history.lake.write("tiny/road", _road(key), [key])
        history.note("road", [key], _road(key))
    history.change_lines()
    history.judge_run(loaded)
    history.features_run(loaded)
    return history


def _live(history: History, count: int) -> None:
    may_happen: list[Callable[[], None]] = [
        history.change_raw, history.change_raw, history.judge, history.judge, history.change_road, history.features,
        history.cut,
    ]  # fmt: skip
    rare = [history.change_lines, history.change_plan]
    for _ in range(count):
        history.chance.choice(rare if history.chance.random() < 0.04 else may_happen)()


def _stale(history: History) -> Found:
    stale = stale_partitions(history.pipeline, history.lake)
    inputs = {(each.stage, each.partition): {_input(reason) for reason in each.reasons} for each in stale}
    assert len(inputs) == len(stale)
    return inputs


def _input(reason: str) -> str:
    return reason.removesuffix(" changed").removesuffix(" written since")


@pytest.mark.parametrize("seed", range(9))
def test_stale_is_what_was_made_from_other_rows(tmp_path: Path, seed: int) -> None:
    """After every few changes: neither a partition too few nor one too many, against the book."""
    history = _history(tmp_path, seed)
    assert _stale(history) == {}
    for _ in range(4):
        _live(history, 7)
        assert _stale(history) == history.expected()


@pytest.mark.parametrize("seed", range(100, 104))
def test_no_wrong_row_is_called_fresh(tmp_path: Path, seed: int) -> None:
    """Features made again differ from those stored only where they were stale; and after that none are."""
    history = _history(tmp_path, seed)
    _live(history, 20)
    stale = _stale(history)
    for run in contiguous_runs(history.pipeline, [key for stage, key in stale if stage == "validated"]):
        history.judge_run(run)
    for key in [key for stage, key in _stale(history) if stage == "road"]:
        history.lake.write("tiny/road", _road(key), [key])
        history.note("road", [key], _road(key))
    stale = {key for stage, key in _stale(history) if stage == "features"}
    with_rows = [key for key in DAYS if history.rows.get(("validated", key)) or history.rows.get(("features", key))]
    before = {key: history.rows.get(("features", key), "") for key in with_rows}
    for run in contiguous_runs(history.pipeline, with_rows):
        history.features_run(run)
    differing = {key for key in with_rows if history.rows["features", key] != before[key]}
    assert differing <= stale
    assert {stage for stage, _ in _stale(history)} <= {"training_set"}


def test_equal_rows_written_again_make_nothing_stale(tmp_path: Path) -> None:
    """Content counts, not the version: rows in another order, in another commit, are the same rows."""
    history = _history(tmp_path, 1)
    validated = history.lake.read("tiny/validated")
    for key in sorted(set(validated[PARTITION])):
        own = validated.filter(pl.col(PARTITION) == key).sample(fraction=1.0, shuffle=True, seed=3)
        history.lake.write("tiny/validated", own, [key])
    assert list(stale_features(history.pipeline, Freshness(history.lake), DAYS)) == []


def test_what_counts_as_now_may_be_pinned(tmp_path: Path) -> None:
    """Features are compared with the very versions that a training set reads, whatever is written meanwhile."""
    history = _history(tmp_path, 2)
    versions = {table: history.lake.version(table) for table in ("tiny/features", "tiny/validated")}
    key = max(history.lake.written("tiny/features"))
    rows = history.lake.read("tiny/validated", [key])
    history.lake.write("tiny/validated", rows.head(50), [key])
    assert list(stale_features(history.pipeline, Freshness(history.lake, versions), DAYS)) == []
    assert [each.partition for each in stale_features(history.pipeline, Freshness(history.lake), DAYS)] == [key]


def test_features_that_say_nothing_of_their_origin_are_stale(tmp_path: Path) -> None:
    """Somebody wrote them by hand."""
    history = _history(tmp_path, 3)
    key = max(history.lake.written("tiny/features"))
    history.lake.write("tiny/features", history.lake.read("tiny/features", [key]), [key], lineage=_plan(history))
    [stale] = stale_features(history.pipeline, Freshness(history.lake), DAYS)
    assert str(stale) == f"features[{key}] (its commit does not say what it was made from)"


def test_the_refusal_names_five_and_the_one_job(tmp_path: Path) -> None:
    """With the stages' counts, what changed, and the next action."""
    history = _history(tmp_path, 4)
    rows = pl.DataFrame({"line": ["u1"], "stops": [99], PARTITION: STATIC})
    history.lake.write("tiny/lines", rows, [STATIC])
    stale = list(stale_features(history.pipeline, Freshness(history.lake), DAYS))
    with pytest.raises(StaleInputs) as refused:
        refuse_stale(history.pipeline, "2020-01-12", stale)
    said = str(refused.value)
    assert f"as of 2020-01-12: got stale partitions ({len(stale)} of features): {stale[0]}, {stale[1]}, " in said
    assert str(stale[0]) == f"features[{stale[0].partition}] (lines[static] changed)"
    assert f"{stale[4]} and {len(stale) - 5} more, expected" in said
    assert "Hint: run the job tiny_refresh" in said
    refuse_stale(history.pipeline, "2020-01-12", [])


def test_a_training_set_of_an_earlier_run_must_be_current(tmp_path: Path) -> None:
    """One that the training run itself has cut was compared then, and is taken."""
    history = _history(tmp_path, 5)
    history.chance.seed(0)
    first, second = (recorded(history.lake, {"run": run}) for run in ("first", "second"))
    as_of = AS_OFS[-1]
    own = recorded(history.lake, {"run": "first"})
    rows = own.read("tiny/features", _days_before(as_of, SPAN_DAYS)).with_columns(pl.lit(as_of).alias(PARTITION))
    own.read("tiny/validated", _days_before(as_of, SPAN_DAYS))
    own.write("tiny/training_set", rows, [as_of])
    require_current_training_set(history.pipeline, second, as_of)
    key = max(key for key in history.lake.written("tiny/validated") if key < as_of)
    history.lake.write("tiny/validated", history.lake.read("tiny/validated", [key]).head(40), [key])
    require_current_training_set(history.pipeline, first, as_of)
    with pytest.raises(StaleInputs, match=rf"features\[{key}\] \(validated\[{key}\] changed\)"):
        require_current_training_set(history.pipeline, second, as_of)
    history.features_run([key])
    with pytest.raises(StaleInputs, match=rf"training_set\[{as_of}\] \(features\[{key}\] changed"):
        require_current_training_set(history.pipeline, second, as_of)


def test_a_month_of_corrections_is_named_by_run_of_partitions() -> None:
    """Partitions in a row are made together, others apart."""
    keys = ["2020-01-09", "2020-01-01", "2020-01-02", "2020-01-03", "2020-01-10", "2020-01-05"]
    assert contiguous_runs(_pipeline(0), keys) == [
        ["2020-01-01", "2020-01-02", "2020-01-03"], ["2020-01-05"], ["2020-01-09", "2020-01-10"],
    ]  # fmt: skip


def _plan(history: History) -> dict[str, Any]:
    return {"plan": history.pipeline.plan.digest}
