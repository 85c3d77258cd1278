"""The bundle of a fit says what was fitted and from which table versions, so that the fit can be done again."""

import pytest

from ml_platform.contracts.spec import Fit
from ml_platform.orchestration.code_versions import AROUND_A_MODEL
from ml_platform.registry import bundle as files
from ml_platform.registry.bundle import Bundle, open_bundle
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import World, tiny

pytestmark = [pytest.mark.slow, *DAGSTER]


def _bundle(world: World) -> Bundle:
    version = world.models.version("tiny", 1)
    return open_bundle(world.models.bundle(version), version.digest)


def test_a_bundle_holds_the_models_that_were_fitted(world: World) -> None:
    fit = Fit.model_validate(_bundle(world).read_json(files.FIT))
    assert fit.models == tiny().spec.models
    declared = tiny().spec.model_dump(mode="json", by_alias=True)
    assert fit.spec == {name: value for name, value in declared.items() if name not in AROUND_A_MODEL}


def test_a_bundle_holds_what_the_fit_tells_of_itself(world: World) -> None:
    """Here at which round it stopped: the same as in the model, and in the report."""
    fit = Fit.model_validate(_bundle(world).read_json(files.FIT))
    [told] = fit.told
    assert told.startswith("Of ")
    kept = _bundle(world).read_bytes("model.txt").decode().count("Tree=")
    assert f"the first {kept} are kept" in told


def test_a_bundle_names_the_version_of_every_table_that_went_into_it(world: World) -> None:
    """The lookups' too: their snapshot is part of it, and what is named survives a vacuum of the lake."""
    versions = {each.table: each.version for each in _bundle(world).manifest.data}
    tables = [f"tiny/{stage}" for stage in ("features", "validated", "road", "lines")]
    assert versions == {table: world.lake.version(table) for table in tables}


def test_a_bundle_counts_the_rows_of_each_table_that_was_read(world: World) -> None:
    """Counted here from the rows themselves: the partitions of the split, and what their features joined."""
    span = [f"2020-01-{day:02d}" for day in range(1, 23)]  # 22 days before the as-of
    expected = {
        "tiny/features": world.lake.read("tiny/features", span).height,
        "tiny/validated": world.lake.read("tiny/validated", span).height,
        "tiny/road": world.lake.read("tiny/road", span).height,  # none is older
        "tiny/lines": world.lake.read("tiny/lines").height,
    }
    assert {each.table: each.rows for each in _bundle(world).manifest.data} == expected
    assert len(set(expected.values())) > 2
    assert expected["tiny/road"] < world.lake.read("tiny/road").height
