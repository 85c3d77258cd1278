"""The feature plan: only what is known enters, rows stay as they are, the shipped code is what runs."""

import json
from dataclasses import replace

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ml_platform.contracts.errors import ContractError, SchemaMismatch, SpecError
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.features.plan import FeaturePlan, require_one_plan
from ml_platform_tests.fakes.bundles import CODE, PLAN, make_lookups, make_rows

SPEC = {
    "name": "parcels",
    "description": "Late?",
    "partitions": {"start": "2013-01-01", "end": "2013-02-01"},
    "source": {"kind": "python", "load": ".source.load"},
    "key": ["parcel_id"],
    "event_time": "asked_at",
    "label": {"column": "is_late", "task": "binary", "known_at": "landed_at"},
    "schema": ".schema.Parcels",
    "features": {
        "inputs": ["carrier", "distance", "weight"],
        "columns": list(PLAN.columns),
        "python": ".features.build",
        "lookups": {
            "depot": {"load": ".source.depot", "by": ["carrier"], "columns": {"size": "int64"}},
            "road": {
                "load": ".source.road",
                "by": ["carrier"],
                "columns": {"ice": "float64"},
                "known_at": "measured_at",
                "tolerance": "6h",
            },
        },
    },
    "split": {"train": "7d", "train_at_least": "3d", "validation": "1d", "holdout": "1d"},
    "models": {"gbm": {"kind": "lightgbm"}},
    "gates": [{"metric": "log_loss", "at_most": 1.0}],
}


def _plan_with(body: str, head: str = "") -> FeaturePlan:
    return replace(PLAN, code=f"import polars as pl\n{head}\ndef build(frame):\n    {body}\n")


def test_plan_comes_from_the_spec_and_goes_through_json() -> None:
    """What the author declared is what a bundle holds."""
    plan = FeaturePlan.from_spec(PipelineSpec.model_validate(SPEC), CODE)
    assert plan == PLAN
    assert FeaturePlan.from_json(json.loads(json.dumps(plan.to_json())), CODE) == PLAN


def test_label_as_input_is_refused() -> None:
    """What is predicted, and when it became known, can be no input."""
    for column in ("is_late", "landed_at"):
        spec = SPEC | {"features": SPEC["features"] | {"inputs": ["carrier", column]}}
        with pytest.raises(SpecError, match=f"features.inputs: got {column}"):
            FeaturePlan.from_spec(PipelineSpec.model_validate(spec), CODE)


def test_code_and_function_go_together() -> None:
    """A spec that names a function without its text cannot be shipped."""
    with pytest.raises(SpecError, match=r"features.python: got one of function and code alone"):
        FeaturePlan.from_spec(PipelineSpec.model_validate(SPEC), None)


def test_columns_outside_the_plan_cannot_enter() -> None:
    """The author's function does not even see the label."""
    peeking = _plan_with("return frame.with_columns(speed=pl.col('is_late').cast(pl.Float64), hour=1)")
    with pytest.raises(SpecError, match="feature function build: got ColumnNotFoundError"):
        peeking.transform(make_rows(5), make_lookups())


def test_one_row_is_as_in_the_batch() -> None:
    """Features do not depend on the rows beside, nor on whether lookups were prepared."""
    rows, lookups = make_rows(40), make_lookups()
    whole, prepared = PLAN.transform(rows, lookups), PLAN.prepare_lookups(lookups)
    assert_frame_equal(pl.concat([PLAN.transform(rows[i], prepared) for i in range(40)]), whole)
    assert whole.columns == ["parcel_id", "asked_at", *PLAN.columns]
    assert whole["parcel_id"].equals(rows["parcel_id"])


def test_narrow_types_give_the_same_features() -> None:
    """Int32, Float32 and categories from a table are as the wide types from JSON."""
    rows = make_rows(20).with_columns(distance=pl.col("distance").cast(pl.Float32), weight=pl.lit(1, pl.Int8))
    narrow = rows.cast({"parcel_id": pl.Int32, "carrier": pl.Categorical})
    wide = rows.cast({"distance": pl.Float64, "weight": pl.Int64})
    assert_frame_equal(PLAN.transform(narrow, make_lookups()), PLAN.transform(wide, make_lookups()))


def test_without_code_inputs_and_lookups_are_the_features() -> None:
    """A plan needs no Python."""
    plan = replace(PLAN, columns=("distance", "depot_size"), function=None, code=None)
    assert plan.transform(make_rows(3), make_lookups()).columns == ["parcel_id", "asked_at", "distance", "depot_size"]


def test_output_types_need_no_data() -> None:
    """The types of an empty run are those of a real one."""
    rows, lookups = make_rows(9), make_lookups()
    types = PLAN.output_types(rows.schema, {name: frame.schema for name, frame in lookups.items()})
    assert types == dict(PLAN.transform(rows, lookups).select(PLAN.columns).schema)
    assert types["depot_size"] == pl.Int64


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return frame.head(1)", "got 1 rows or another order"),
        ("return frame.reverse()", "got 3 rows or another order"),
        ("return frame.drop('parcel_id')", "got no column parcel_id"),
        ("return frame", "got no column hour, speed"),
        ("return frame.lazy()", "got LazyFrame, expected a polars DataFrame"),
        ("raise KeyError('x')", "got KeyError"),
    ],
)
def test_function_that_breaks_its_promise_is_refused(body: str, message: str) -> None:
    """Rows, their order, the key and every declared column must be there."""
    extra = "" if body == "return frame" else "frame = frame.with_columns(hour=1, speed=1.0); "
    with pytest.raises(SpecError, match=message):
        _plan_with(extra + body).transform(make_rows(3), make_lookups())


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import pandas\ndef build(frame): return frame", "got import of pandas.*self-contained"),
        ("from .shared import x\ndef build(frame): return frame", r"got import of \.shared"),
        ("def build(frame):\n    import sklearn.tree\n    return frame", r"got import of sklearn\.tree"),
        ("def other(frame): return frame", "got no function build"),
        ("1 / 0", "got ZeroDivisionError"),
        ("def build(", "got SyntaxError"),
    ],
)
def test_module_that_cannot_be_shipped_is_refused(code: str, message: str) -> None:
    """Only what travels in the bundle, the standard library, polars and numpy may be used."""
    with pytest.raises(SpecError, match=message):
        replace(PLAN, code=code).transform(make_rows(1), make_lookups())


def test_module_may_define_dataclasses() -> None:
    """The module is a real one to the standard library."""
    head = "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\n"
    plan = replace(PLAN, code=f"{head}{CODE.partition('import')[1]}{CODE.partition('import')[2]}")
    assert plan.transform(make_rows(1), make_lookups()).height == 1


def test_missing_input_and_lookup_are_named() -> None:
    """What the plan needs and does not get is told."""
    with pytest.raises(SchemaMismatch, match="raw rows: got no column distance"):
        PLAN.transform(make_rows(1).drop("distance"), make_lookups())
    with pytest.raises(SchemaMismatch, match="lookups: got no road"):
        PLAN.transform(make_rows(1), {"depot": make_lookups()["depot"]})
    naive = make_rows(1).with_columns(pl.col("asked_at").dt.replace_time_zone(None))
    with pytest.raises(SchemaMismatch, match=r"raw rows.asked_at: .* expected a timestamp with time zone"):
        PLAN.transform(naive, make_lookups())


WINDOWED = SPEC | {
    "features": SPEC["features"]
    | {
        "windows": [
            {"name": "late_7d", "by": ["carrier"], "how": "share", "of": "is_late", "over": "7d"},
            {
                "name": "near_20", "by": ["carrier"], "how": "count", "over": "20 rows", "within": "3d",
                "where": "distance < 250",
            },
        ],
        "derive": {"late_or_none": "coalesce(late_7d, 0)"},
        "columns": [*PLAN.columns, "late_or_none", "near_20"],
    }
}  # fmt: skip


def _windowed() -> FeaturePlan:
    return FeaturePlan.from_spec(PipelineSpec.model_validate(WINDOWED), CODE)


def _past() -> pl.DataFrame:
    past = make_rows(200, 9)
    return past.with_columns(landed_at=pl.col("asked_at") + pl.duration(hours=30))


def test_windows_and_derive_go_through_json() -> None:
    """A bundle holds them; a window that looks at the label waits for it, one that looks at inputs does not."""
    plan = _windowed()
    assert plan.history is not None
    assert [window.awaits_label for window in plan.history.windows] == [True, False]
    assert plan.history.columns == ("parcel_id", "asked_at", "landed_at", "carrier", "is_late", "distance")
    assert plan.history.known_later == ("landed_at", "is_late")
    assert FeaturePlan.from_json(json.loads(json.dumps(plan.to_json(), sort_keys=True)), CODE) == plan
    assert plan.lookup_names == ("depot", "road", "history")


def test_one_row_is_as_in_the_batch_with_windows() -> None:
    """Whether the past was prepared or not."""
    plan, rows, lookups = _windowed(), make_rows(40), make_lookups() | {"history": _past()}
    whole, prepared = plan.transform(rows, lookups), plan.prepare_lookups(lookups)
    assert_frame_equal(pl.concat([plan.transform(rows[i], prepared) for i in range(40)]), whole)
    assert whole["near_20"].n_unique() > 3
    assert whole["late_or_none"].n_unique() > 10


def test_a_missing_history_is_named() -> None:
    """It is one more lookup."""
    with pytest.raises(SchemaMismatch, match="lookups: got no history"):
        _windowed().transform(make_rows(1), make_lookups())


def test_the_digest_is_that_of_what_makes_values() -> None:
    """Window, SQL, code and order of columns; not whether the plan came from a spec or a bundle."""
    plan = _windowed()
    assert plan.history is not None
    others = [
        replace(plan, derive=(("late_or_none", "coalesce(late_7d, 1)"),)),
        replace(plan, history=replace(plan.history, windows=plan.history.windows[:1])),
        replace(plan, code=CODE + "\n"),
        replace(plan, timezone="Europe/Berlin"),
        PLAN,
    ]
    digests = {plan.digest, *(other.digest for other in others)}
    assert len(digests) == 6
    assert all(len(digest) == 12 for digest in digests)
    assert FeaturePlan.from_json(json.loads(json.dumps(plan.to_json())), CODE).digest == plan.digest


def test_partitions_of_another_plan_are_named() -> None:
    """Also those of a time before plans were written down; what remains has no such column."""
    features = pl.DataFrame({"partition": ["a", "b", "c"], "plan": ["x", "y", None], "hour": [1, 2, 3]})
    with pytest.raises(ContractError, match="features: got partitions that another plan made: b, c, expected plan x"):
        require_one_plan(features, "x")
    with pytest.raises(ContractError, match="another plan made: a, b, c"):
        require_one_plan(features.drop("plan"), "x")
    assert require_one_plan(features.head(1), "x").columns == ["partition", "hour"]
