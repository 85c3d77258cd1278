"""The certificate on real flights: what is known at departure keeps it, what is known only on landing breaks it."""

from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from ml_platform.contracts.records import LeakageFinding
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.splits.cut import parted, split_rows
from ml_platform.data.splits.labels import known_labels
from ml_platform.data.splits.leakage import certify
from ml_platform.defs import flight_delays
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform_tests.pipelines.marks import QUIET

pytestmark = [pytest.mark.slow, *QUIET]

FOLDER = Path(flight_delays.__path__[0])
AS_OF = "2013-05-01"
HONEST = ["carrier", "origin", "dest", "tailnum", "distance_miles", "hour"]
HINT, LEAK = "departure_delay_minutes", "arrival_delay_minutes"
SPLITS: dict[str, dict[str, Any]] = {
    "time": {"folds": 4},
    "grouped": {"kind": "grouped", "by": "tailnum"},
    "stratified": {"kind": "stratified"},
}


@cache
def _pipeline() -> Pipeline:
    document = yaml.safe_load((FOLDER / "defs.yaml").read_text())
    return resolve(document["attributes"], FOLDER / "defs.yaml", flight_delays.__name__)


@cache
def _flights() -> pl.DataFrame:
    pipeline = _pipeline()
    rows = pipeline.source.load(pipeline.calendar.keys_before(AS_OF, pipeline.spec.split.span)).rows
    return rows.with_columns(hour=pl.col("scheduled_departure").dt.hour().cast(pl.Int64))


def _certify(columns: list[str], **changed: Any) -> dict[str, LeakageFinding]:
    """Certify a training set with these columns of the flights as features."""
    spec, calendar = _pipeline().spec, _pipeline().calendar
    split = type(spec.split).model_validate(spec.split.model_dump(mode="json") | changed)
    spec = spec.model_copy(update={"split": split, "features": spec.features.model_copy(update={"columns": columns})})
    features = _flights().select(*spec.key, spec.event_time, *dict.fromkeys([*columns, "tailnum"]), PARTITION)
    labels = known_labels(_flights(), spec.label, spec.key, spec.event_time)
    rows = split_rows(
        features, labels, key=spec.key, event_time=spec.event_time, split=split, calendar=calendar, as_of=AS_OF
    )
    return {finding.name: finding for finding in certify(parted(rows), spec, AS_OF).findings}


@pytest.mark.parametrize("kind", SPLITS)
def test_what_is_known_at_departure_keeps_the_certificate(kind: str) -> None:
    """However the flights are cut; that a plane flies a route again and again only warns."""
    found = _certify(HONEST, **SPLITS[kind])
    assert {name for name, finding in found.items() if finding.outcome == "violated"} == set()
    assert found["no_feature_tells_the_label"].numbers["strongest"] < 0.7


def test_the_delay_at_departure_hints_at_the_label() -> None:
    """Strongly, but it does not tell it: a plane may catch up."""
    finding = _certify([*HONEST, HINT])["no_feature_tells_the_label"]
    assert finding.outcome == "ok"
    assert 0.85 < finding.numbers["strongest"] < 0.99
    assert HINT in finding.sentence


@pytest.mark.parametrize("kind", SPLITS)
def test_the_delay_on_arrival_is_the_label(kind: str) -> None:
    """By name."""
    finding = _certify([*HONEST, LEAK], **SPLITS[kind])["no_feature_tells_the_label"]
    assert finding.outcome == "violated"
    assert [example.split()[0] for example in finding.examples] == [LEAK]
