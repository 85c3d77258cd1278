"""Names that differ in capital letters alone are refused when definitions load, whichever table would hold both."""

import random
from typing import Any

import pytest
import yaml

from ml_platform.contracts.errors import SpecError
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.features.types import POLARS_TYPES, colliding_names
from ml_platform.orchestration.name_checks import collision_faults
from ml_platform.orchestration.resolution import resolve
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import FOLDER

pytestmark = DAGSTER

PATH = FOLDER / "defs.yaml"
PACKAGE = "ml_platform_tests.pipelines.tiny"


def _attributes() -> dict[str, Any]:
    return yaml.safe_load(PATH.read_text())["attributes"]


def _refused(attributes: dict[str, Any]) -> str:
    with pytest.raises(SpecError) as refused:
        resolve(attributes, PATH, PACKAGE)
    return str(refused.value)


def _recased(name: str, rng: random.Random) -> str:
    """Write one letter or more of a name in the other case."""
    letters = [place for place, letter in enumerate(name) if letter.isalpha()]
    swapped = set(rng.sample(letters, rng.randint(1, len(letters))))
    return "".join(each.swapcase() if place in swapped else each for place, each in enumerate(name))


@pytest.mark.parametrize("seed", range(12))
def test_a_derived_feature_of_almost_the_same_name_is_refused(seed: int) -> None:
    """As any other feature, the key, the event time, or a column of the platform's own in features or training set."""
    rng = random.Random(seed)  # noqa: S311 - made-up names
    attributes = _attributes()
    del attributes["features"]["python"]
    attributes["features"]["columns"] = ["passengers", "road_ice"]
    taken = ["passengers", "road_ice", attributes["event_time"], *attributes["key"]]
    other = rng.choice([*taken, "partition", "plan", "label", "label_known_at", "part", "day", "features_version"])
    name = _recased(other, rng)
    attributes["features"]["derive"] = {name: "passengers + 1"}
    attributes["features"]["columns"].append(name)
    said = _refused(attributes)
    assert {name, other} <= {*said.replace(",", " ").split()}
    assert "expected names that differ in more than capital letters, in the table tiny/" in said


def test_a_lookup_with_two_such_columns_is_refused() -> None:
    attributes = _attributes()
    attributes["features"]["lookups"]["road"]["columns"] |= {"Ice": "bool", "ICE": "bool"}
    assert "in the table tiny/road" in _refused(attributes)


def test_a_schema_with_two_such_columns_is_refused() -> None:
    """By their names, before any data is read."""
    names = ["trip_id", "departs_at", "Zone", "zone"]
    spec = PipelineSpec.model_validate(_attributes())
    [fault] = collision_faults(spec, dict.fromkeys(names, POLARS_TYPES["string"]))
    assert fault.got == "Zone and zone"
    assert "tiny/raw" in fault.expected


def test_names_that_differ_otherwise_go_together() -> None:
    assert colliding_names(["zone", "zones", "Zone_2", "straße", "STRASSE"]) == []
    assert colliding_names(["zone", "é", "Zone", "É", "ZONE"]) == [("zone", "Zone"), ("é", "É"), ("zone", "ZONE")]
