"""A column that becomes known with the label is no input: the spec that says so is not loaded, nothing is trained."""

import re
from typing import Any

import pytest
import yaml

from ml_platform.contracts.errors import SpecError
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.orchestration.late_columns import late_faults
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.shipped import folder_of, shipped
from ml_platform_tests.pipelines.world import tiny

pytestmark = DAGSTER

NAME = "flight_delays"
LATE = ["departure_delay_minutes", "air_minutes", "arrival_delay_minutes"]


def _resolved(column: str, **source: Any) -> Pipeline:
    """Resolve the flights' pipeline with one input more."""
    path = folder_of(NAME) / "defs.yaml"
    attributes = yaml.safe_load(path.read_text())["attributes"]
    attributes["features"]["inputs"].append(column)
    attributes["features"]["columns"].append(column)
    attributes["source"] |= source
    return resolve(attributes, path, f"ml_platform.defs.{NAME}")


@pytest.mark.parametrize("column", LATE)
def test_what_is_known_on_landing_is_no_input_of_the_flights(column: str) -> None:
    """By its name, with the line of the YAML."""
    said = (
        rf"defs\.yaml:\d+: features\.inputs\.6: got {column}, expected a column known at the event time\. Hint: label"
    )
    with pytest.raises(SpecError, match=said):
        _resolved(column)


def test_what_the_source_makes_of_it_is_no_input_either() -> None:
    """Over as many steps as the author takes; the column that it hides in is one of the schema."""
    derive = {"hours": "departure_delay_minutes / 60", "distance_miles": "distance_miles + hours"}
    with pytest.raises(SpecError, match=re.escape("got distance_miles, expected a column known at the event time")):
        _resolved("tailnum_again", derive=derive)
    assert "source.derive makes it of hours, which is not known then" in _hints(_spec(derive))["distance_miles"]


def _spec(derive: dict[str, str], **label: Any) -> PipelineSpec:
    spec = shipped(NAME).spec
    source = spec.source.model_copy(update={"derive": derive})
    return spec.model_copy(update={"source": source, "label": spec.label.model_copy(update=label)})


def _hints(spec: PipelineSpec) -> dict[object, str]:
    return {fault.got: fault.hint for fault in late_faults(spec, {name: tiny().types["hour"] for name in LATE})}


@pytest.mark.parametrize(
    ("derive", "refused"),
    [
        ({"carrier": "upper(origin)"}, set[str]()),
        ({"carrier": "case when is_late then carrier else origin end"}, {"carrier"}),
        ({"distance_miles": "extract(epoch from landed_at - scheduled_departure)"}, {"distance_miles"}),
        ({"scheduled_departure": "landed_at", "distance_miles": "extract(hour from scheduled_departure)"}, set[str]()),
        ({"is_late": "arrival_delay_minutes >= 15"}, set[str]()),
    ],
    ids=["honest", "of the label", "of when it is known", "an event time reckoned back", "the label itself"],
)
def test_inputs_that_the_source_derives(derive: dict[str, str], refused: set[str]) -> None:
    """Of the label or of when it is known nothing may be derived but the label and the event time themselves."""
    assert set(_hints(_spec(derive))) == refused


def test_what_no_column_is_called_is_a_fault() -> None:
    """What `source.derive` reads may be named without standing in the schema, as in the shipped cancellations."""
    assert set(_hints(_spec({}, known_with=["delay"]))) == {"delay"}
    assert not _hints(_spec({"is_late": "delay > 15"}, known_with=["delay"]))
    assert shipped("flight_cancellations").spec.label.known_with == LATE[:1]
