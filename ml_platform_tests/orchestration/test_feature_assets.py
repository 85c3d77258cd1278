"""The stage `features` with windows: only what was known, no more than is needed, and the same in the server."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml
from polars.testing import assert_frame_equal

from ml_platform.contracts.errors import SpecError
from ml_platform.data.lake.tables import Lake
from ml_platform.features.online import OnlineStore
from ml_platform.orchestration.feature_rows import first_known, make_features, publish_history
from ml_platform.orchestration.pure_features import require_pure
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform.registry.bundle import open_bundle
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import (
    AS_OF,
    FIRST,
    FOLDER,
    LAST,
    NAME,
    InProcessTarget,
    World,
    definitions,
    error_of,
    tiny,
)

pytestmark = [pytest.mark.slow, *DAGSTER]

WINDOWS: list[dict[str, Any]] = [
    {"name": "late_share_2d", "by": ["line"], "how": "share", "of": "is_late", "over": "2d"},
    {"name": "rides_6h", "by": ["line"], "how": "count", "over": "6h"},
    {"name": "passengers_3_rides", "by": ["line"], "how": "mean", "of": "passengers", "over": "3 rows", "within": "1d"},
]
NEW = ["late_share_2d", "rides_6h", "passengers_3_rides", "weekday"]
DAY, NEXT = "2020-01-10", "2020-01-11"
KEYS = [f"2020-01-{day:02d}" for day in range(8, 15)]


def _windowed(**label: Any) -> Pipeline:
    """Give the tiny pipeline with windows and a derived column."""
    attributes = yaml.safe_load((FOLDER / "defs.yaml").read_text())["attributes"]
    features = attributes["features"]
    columns, derive = [*features["columns"], *NEW], {"weekday": "extract(dow from departs_at)"}
    attributes["features"] = features | {"windows": WINDOWS, "derive": derive, "columns": columns}
    attributes["label"] |= label
    return resolve(attributes, FOLDER / "defs.yaml", f"ml_platform_tests.pipelines.{NAME}")


@pytest.fixture(scope="module")
def windowed() -> Pipeline:
    """Give the tiny pipeline with windows and a derived column."""
    return _windowed()


@pytest.fixture
def world(loaded: World, windowed: Pipeline) -> World:
    """Give a world whose pipeline has windows; its features are still those without."""
    return World(loaded.home, loaded.instance, definitions(windowed, target=InProcessTarget(loaded.home)))


@dataclass(frozen=True)
class WatchedLake(Lake):
    """A lake that remembers which partitions of `validated` were read."""

    asked: list[str] = field(default_factory=list)

    def read(self, table: str, partitions: Sequence[str] | None = None, **options: Any) -> pl.DataFrame:
        """Read, and remember."""
        if table == "tiny/validated":
            self.asked.extend(partitions or ["all"])
        return super().read(table, partitions, **options)


def _features(lake: Lake, key: str) -> pl.DataFrame:
    return lake.read("tiny/features", [key]).sort("ride_id")


def test_a_day_alone_is_as_in_a_run_over_all_days(world: World, windowed: Pipeline) -> None:
    """It reads back only as far as its windows reach, and that is enough: to the last bit."""
    together = make_features(windowed, world.lake, KEYS).filter(pl.col("partition") == NEXT)
    lake = WatchedLake(world.lake.root)
    assert_frame_equal(make_features(windowed, lake, [NEXT]), together)
    assert lake.asked == ["2020-01-08", "2020-01-09", DAY, NEXT]
    assert together["late_share_2d"].null_count() == 0
    assert together.filter(pl.col("rides_6h") > 5).height > 50


def test_a_late_label_changes_no_feature_of_before_it_was_known(world: World) -> None:
    """Materialized, then the labels of a day arrive at the next day's noon, then materialized again."""
    validated = world.lake.read("tiny/validated", [DAY])
    noon = datetime(2020, 1, 11, 11, tzinfo=UTC)
    empty = validated.with_columns(is_late=pl.lit(None, pl.Boolean), arrived_at=pl.lit(None, pl.Datetime("us", "UTC")))
    world.lake.write("tiny/validated", empty, [DAY])
    assert world.execute(_job(world), DAY, NEXT, asset_selection=[_key("features")]).success
    before = _features(world.lake, NEXT)
    arrived = validated.with_columns(arrived_at=pl.lit(noon).cast(pl.Datetime("us", "UTC")))
    world.lake.write("tiny/validated", arrived, [DAY])
    assert world.execute(_job(world), DAY, NEXT, asset_selection=[_key("features")]).success
    after = _features(world.lake, NEXT)
    is_early = pl.col("departs_at") < noon
    assert_frame_equal(after.filter(is_early), before.filter(is_early))
    assert not after.filter(~is_early)["late_share_2d"].equals(before.filter(~is_early)["late_share_2d"])
    assert 10 < len(after.filter(is_early)) < len(after) - 10


@pytest.mark.parametrize("last", [None, NEXT])
def test_lineage_of_columns_stands_with_the_newest_partition(world: World, last: str | None) -> None:
    """Of a run over several days, and with one that runs alone; the catalogue stands with the asset."""
    assert world.execute(_job(world), DAY, last, asset_selection=[_key("features")]).success
    event = world.instance.get_latest_materialization_event(_key("features"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.partition == (last or DAY)
    lineage = event.asset_materialization.metadata["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    assert "late_share_2d" in lineage.deps_by_column
    asset = world.definitions.resolve_asset_graph().get(_key("features"))
    assert "| rides_6h | int64 | window | count of rows by line over 6h |" in str(asset.metadata["catalogue"].value)


def test_features_of_another_plan_are_not_trained_on(world: World) -> None:
    """The partitions are named; made again, they are taken."""
    refused = world.materialize("training_set", key=AS_OF)
    assert not refused.success
    assert "features[2020-01-01] (made by another feature plan), features[2020-01-02] (made by" in error_of(refused)
    assert world.execute(_job(world), FIRST, LAST, asset_selection=[_key("features")]).success
    assert world.materialize("training_set", key=AS_OF).success


def test_the_server_gives_what_training_saw(world: World) -> None:
    """Bundle, published past and the endpoint's own check, on a model with windows."""
    assert world.execute(_job(world), FIRST, LAST, asset_selection=[_key("features")]).success
    result = world.run("retrain", AS_OF)
    assert result.success, error_of(result)
    assert all(each.passed for each in result.get_asset_check_evaluations())
    version = world.models.newest(NAME, AS_OF)
    assert version is not None
    bundle = open_bundle(world.models.bundle(version), version.digest)
    past = pl.read_ipc(bundle.read_bytes("lookups/history.arrow"))
    assert _days(past).unique().sort().to_list() == [19, 20, 21, 22]
    end = pl.lit("2020-01-22T23:00:00").str.to_datetime(time_unit="us", time_zone="UTC")
    assert past.select((pl.col("arrived_at") < end).all()).item()
    is_hidden = past["arrived_at"].is_null()
    assert is_hidden.sum() > 0
    assert past["is_late"].is_null().equals(is_hidden, check_names=False)
    assert past["passengers"].null_count() == 0


def test_the_published_past_never_moves_back(world: World, windowed: Pipeline) -> None:
    """It ends with the newest partition, also after a backfill of an old one, which it takes in where it reaches."""
    online = OnlineStore(world.home.online)
    publish_history(windowed, world.lake, online, [LAST])
    published = online.read(NAME, "history")
    assert published is not None
    assert published["departs_at"].max() == world.lake.read("tiny/validated", [LAST])["departs_at"].max()
    assert len(published) == len(world.lake.read("tiny/validated"))
    short = _with_history(windowed, "3d")
    publish_history(short, world.lake, online, [FIRST])
    assert online.read(NAME, "history") is published
    fewer = world.lake.read("tiny/validated", ["2020-01-30"]).head(7)
    world.lake.write("tiny/validated", fewer, ["2020-01-30"])
    publish_history(short, world.lake, online, ["2020-01-30"])
    now = online.read(NAME, "history")
    assert now is not None
    assert now["departs_at"].max() == published["departs_at"].max()
    assert _days(now).value_counts().sort("departs_at").rows() == [(27, 120), (28, 120), (29, 120), (30, 7), (31, 120)]


def test_a_corrected_row_is_one_row_of_features(world: World) -> None:
    """The one that was known first; the correction counts for the rows that ask after it."""
    corrected = _windowed(corrected=True)
    validated = world.lake.read("tiny/validated", [DAY])
    late = {"is_late": pl.lit(value=True), "passengers": pl.lit(7.0)}
    later = validated.with_columns(pl.col("arrived_at") + timedelta(hours=12), **late)
    world.lake.write("tiny/validated", pl.concat([later, validated]), [DAY])
    made = make_features(corrected, world.lake, [DAY, NEXT])
    assert made["ride_id"].is_unique().all()
    assert made.filter(pl.col("partition") == DAY).select("ride_id", "passengers").sort("ride_id").equals(
        validated.select("ride_id", "passengers").sort("ride_id")
    )  # fmt: skip
    assert first_known(corrected, pl.concat([later, validated])).height == validated.height
    before = make_features(_windowed(), world.lake, [NEXT])["late_share_2d"].mean()
    after = made.filter(pl.col("partition") == NEXT)["late_share_2d"].mean()
    assert isinstance(before, float)
    assert isinstance(after, float)
    assert after > before


def _days(rows: pl.DataFrame) -> pl.Series:
    return rows["departs_at"].dt.convert_time_zone("Europe/Berlin").dt.day()


def _with_history(pipeline: Pipeline, history: str) -> Pipeline:
    document = pipeline.spec.model_dump(by_alias=True, mode="json")
    document["serving"] = {"history": history}
    return replace(pipeline, spec=type(pipeline.spec).model_validate(document))


def _job(world: World) -> dg.JobDefinition:
    return world.definitions.resolve_implicit_global_asset_job_def()


def _key(stage: str) -> dg.AssetKey:
    return dg.AssetKey([NAME, stage])


@pytest.mark.parametrize("rows", [2, 5, 900])
def test_real_rows_show_what_made_up_ones_did_not(rows: int) -> None:
    """A function that only looks around where a line is called so; refused by column, and pure code is let through."""
    code = (
        "import polars as pl\n\ndef build(rides):\n"
        "    is_real = pl.col('line') == 'S1'\n"
        "    return rides.with_columns(hour=pl.when(is_real).then(pl.len()).otherwise(0), crowding=pl.lit(1.0))\n"
    )
    plan = replace(tiny().plan, code=code)
    joined = pl.DataFrame({name: ["S1"] * rows if name == "line" else [1] * rows for name in ("ride_id", "line")})
    with pytest.raises(SpecError, match=r"feature function build: got hour \(other values row by row\)"):
        require_pure(replace(plan, columns=("hour", "crowding")), joined)
    require_pure(replace(plan, columns=("crowding",)), joined)
    require_pure(replace(plan, columns=("hour",)), joined.clear())


def test_the_stage_refuses_what_looks_beyond_its_row(windowed: Pipeline, world: World) -> None:
    """Before anything is written."""
    impure = (
        "import polars as pl\n\ndef build(rides):\n    return rides.with_columns(hour=pl.len(), crowding=pl.len())\n"
    )
    plan = replace(windowed.plan, code=impure)
    with pytest.raises(SpecError, match=r"crowding \(other values row by row\), hour \(other values row by row\)"):
        make_features(replace(windowed, plan=plan), world.lake, KEYS)


def test_column_descriptions_reach_dagster(loaded: World) -> None:
    """Of the YAML and of windows; on every table that has the column, alone and with the newest of a range."""
    spec = _windowed().spec
    windows = [spec.features.windows[0].model_copy(update={"description": "late lately"}), *spec.features.windows[1:]]
    said = {"passengers": "people on board", "crowding": "how full it is"}
    features = spec.features.model_copy(update={"descriptions": said, "windows": windows})
    pipeline = replace(_windowed(), spec=spec.model_copy(update={"features": features}))
    world = replace(loaded, definitions=definitions(pipeline, target=InProcessTarget(loaded.home)))
    expected = {
        "raw": {"passengers": "people on board"},
        "validated": {"passengers": "people on board"},
        "features": {**said, "late_share_2d": "late lately"},
    }
    for span in (("2020-01-10",), ("2020-01-09", "2020-01-10")):
        result = world.run("data", *span)
        assert result.success, error_of(result)
        for stage, columns in expected.items():
            newest = world.materializations(stage, result.run_id)[-1]
            schema = newest.metadata["dagster/column_schema"].value
            assert isinstance(schema, dg.TableSchema)
            assert {each.name: each.description for each in schema.columns if each.description} == columns
