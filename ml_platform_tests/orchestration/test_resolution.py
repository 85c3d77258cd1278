"""A wrong spec is refused when definitions load: every fault with file, line, what was got, expected, and a hint."""

import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import numpy as np
import pytest
import yaml
from dagster.components.testing import create_defs_folder_sandbox

from ml_platform.contracts.errors import SpecError
from ml_platform.orchestration import MLPipeline, resolution
from ml_platform.orchestration.checks import quality_check_specs
from ml_platform.orchestration.partitions import whole_days
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform.orchestration.resources import platform_resources
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import FOLDER, definitions, tiny

pytestmark = DAGSTER

PACKAGE = "ml_platform_tests.pipelines.tiny"
TEXT = (FOLDER / "defs.yaml").read_text()


def _resolve(path: Path, text: str) -> Pipeline:
    path.write_text(text)
    return resolve(yaml.safe_load(text)["attributes"], path, PACKAGE)


def _line(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def _changed(old: str, new: str) -> str:
    assert TEXT.count(old) == 1, old
    return TEXT.replace(old, new)


# id: what is replaced, by what (the fault is on its line), and what is said
FAULTS = {
    "misspelt key": (
        "owners: [",
        "ownerz: [",
        "ownerz: got key ownerz, expected one of name, description, owners, partitions, .*"
        "Hint: did you mean owners?",
    ),
    "misspelt nested key": (
        "holdout: 5d}",
        "holdout: 5d, embargoo: 1d}",
        "split.embargoo: got key embargoo, expected one of .*holdout, embargo, .*. Hint: did you mean embargo?",
    ),
    "misspelt key of a gate": (
        "better_by: 0.05}",
        "better_by: 0.05, at_mots: 1}",
        "gates.2.at_mots: got key at_mots, expected one of kind, metric, at_most.* Hint: did you mean at_most?",
    ),
    "misspelt key of a lookup": (
        "tolerance: 3h",
        "tolerance: 3h\n        colums: {}",
        "features.lookups.road.colums: got key colums, .* Hint: did you mean columns?",
    ),
    "wrong type": (
        "rows_at_least: 50",
        "rows_at_least: many",
        "quality.rows_at_least: got 'many', expected a valid integer.* Hint: mend rows_at_least",
    ),
    "out of range": (
        "quarantine_at_most: 0.1",
        "quarantine_at_most: 1.5",
        "quality.quarantine_at_most: got 1.5, expected less than or equal to 1",
    ),
    "unknown metric": (
        "metric: roc_auc",
        "metric: auc",
        "gates.2.metric: got auc, expected one of log_loss, brier, roc_auc, .*",
    ),
    "metric of another task": (
        "metric: roc_auc",
        "metric: rmse",
        "gates.2.metric: got rmse, expected one of log_loss, brier, .* Hint: label.task is binary: choose one of its",
    ),
    "class as the label of a regression": (
        "task: binary",
        "task: regression",
        "label.column: got is_late .Boolean., expected a number, as label.task is regression. .*",
    ),
    "gate without a condition": (
        "worse_by_at_most: 0.05}",
        "at_most: 0.05}",
        "gates.1: got .*, expected exactly one of worse_by_at_most or better_by with versus: champion",
    ),
    "model of no kind": ("kind: lightgbm", "rounds: 60", "models.gbm: got no kind, expected one .* Hint: add kind"),
    "gate of no kind that is known": (
        "at_most: 0.68}",
        "at_most: 0.68, kind: hope}",
        "gates.0.kind: got 'hope', expected one of 'metric', 'served', 'plausible'. Hint: mend kind",
    ),
    "gate that is no mapping": ("- {metric: log_loss, at_most: 0.68}", "- log_loss", "gates.0: got no kind, .*"),
    "misspelt key of a served gate": (
        "at_most: 0.68}",
        "at_most: 0.68}\n    - {kind: served, p95: 20, p95_ms: 20}",
        "gates.1.p95: got key p95, expected one of kind, p95_ms, memory_mb, .*",
    ),
    "unknown kind of model": (
        "kind: lightgbm",
        "kind: forest",
        "models.gbm.kind: got 'forest', expected one of 'lightgbm', 'linear', 'xgboost'. Hint: mend kind",
    ),
    "unknown feature": (
        "road_ice, lines_stops]",
        "road_ice, lines_stop]",
        "features.columns.5: got no column lines_stop, expected .* Hint: name only inputs, lookup columns .*",
    ),
    "unknown input": (
        "inputs: [line, passengers]",
        "inputs: [line, passenger]",
        "features.inputs.1: got passenger, expected a column of the schema. Hint: did you mean passengers?",
    ),
    "label among the inputs": (
        "inputs: [line, passengers]",
        "inputs: [line, passengers, is_late]",
        "features.inputs.2: got is_late, expected a column known at the event time. Hint: it is the label: take it out",
    ),
    "known only after the event": (
        "inputs: [line, passengers]",
        "inputs: [line, passengers, arrived_at]",
        "features.inputs.2: got arrived_at, expected a column known at the event time.*",
    ),
    "known with the label": (
        "known_at: arrived_at}",
        "known_at: arrived_at, known_with: [passengers]}",
        "features.inputs.1: got passengers, expected a column known at the event time. "
        "Hint: label.known_with says that it becomes known with the label: take it out",
    ),
    "known with the label, and nowhere else": (
        "known_at: arrived_at}",
        "known_at: arrived_at, known_with: [lime]}",
        "label.known_with.0: got lime, expected a column of the schema, or one that source.derive reads. "
        "Hint: did you mean line?",
    ),
    "event time that is no instant": (
        "event_time: departs_at",
        "event_time: line",
        "event_time: got line \\(String\\), expected a timestamp with time zone. Hint: declare it so in the schema",
    ),
    "split longer than the data": (
        "split: {train: 14d",
        "split: {train: 60d",
        "split: got 68 days from the first training row to the as-of, expected at most 45 days. Hint: .*",
    ),
    "unknown group": (
        "split: {train: 14d",
        "split: {kind: grouped, by: lines, train: 14d",
        "split.by: got lines, expected a feature, or a column of the schema that is not the label's. .* mean line?",
    ),
    "groups of labels": (
        "split: {train: 14d",
        "split: {kind: grouped, by: arrived_at, train: 14d",
        "split.by: got arrived_at, expected a feature, or a column of the schema that is not the label's.*",
    ),
    "leave for no feature": (
        "split: {train: 14d",
        "split: {may_tell_label: [hour, our], train: 14d",
        "split.may_tell_label.1: got our, expected one of features.columns. Hint: did you mean hour?",
    ),
    "unknown function": (
        "load: .source.load_rides",
        "load: .source.load_ride",
        "source.load: got .source.load_ride, expected an importable module and a name in it .*load_ride.*",
    ),
    "unknown module": (
        "schema: .schema.Rides",
        "schema: .scheme.Rides",
        f"schema: got .scheme.Rides, expected an importable module .* is looked up in {PACKAGE}",
    ),
    "slice that is no feature": (
        "worse_by_at_most: 0.05}",
        "worse_by_at_most: 0.05, per: [lime]}",
        "gates.1.per.0: got lime, expected one of features.columns. Hint: did you mean line?",
    ),
    "slice without a rival": (
        "at_most: 0.68}",
        "at_most: 0.68, per: [line]}",
        "gates.0: got .*, expected per only with versus and worse_by_at_most",
    ),
    "newest longer than the holdout": (
        "at_most: 0.68}",
        "at_most: 0.68, newest: 6d}",
        "gates.0.newest: got 6d, expected at most the holdout's 5d. Hint: shorten it",
    ),
    "cost without costs": (
        "{metric: log_loss, at_most: 0.68}",
        "{metric: cost, at_most: 0.68}",
        "gates.0.metric: got cost, expected decide.costs. Hint: say under decide",
    ),
    "plausible by a cost": (
        "{metric: log_loss, at_most: 0.68}",
        "{kind: plausible, metric: cost}",
        "gates.0.metric: got cost, expected decide.costs",
    ),
    "two ways to decide": (
        "  monitoring:",
        "  decide: {threshold: 0.4, best: f1}\n  monitoring:",
        "decide: got .*, expected one of threshold and best, not both",
    ),
    "own metric that is not there": (
        "  gates:",
        "  metrics: {lost: {function: .features.money_lost, better: lower}}\n  gates:",
        r"metrics.lost.function: got .features.money_lost, expected an importable module and a name in it .Attr.*",
    ),
    "own metric that is no function": (
        "  gates:",
        "  metrics: {lost: {function: .source.FAULTS, better: lower}}\n  gates:",
        r"metrics.lost.function: got .source.FAULTS, expected a function of labels and predictions .TypeError.*",
    ),
    "own metric under a taken name": (
        "  gates:",
        "  metrics: {brier: {function: .features.build, better: lower}}\n  gates:",
        "attributes: got .*, expected metrics under names of their own, got brier",
    ),
    "no path": ("schema: .schema.Rides", "schema: Rides", "schema: got 'Rides', expected .*"),
    "bad duration": (
        "holdout: 5d}",
        "holdout: 5 days}",
        "split.holdout: got 5 days, expected a duration like 2w, 7d or 6h. Hint: mend holdout",
    ),
    "duration of part of a day": ("holdout: 5d}", "holdout: 36h}", "split.holdout: got .*, expected whole days"),
    "bad zone": (
        "timezone: Europe/Berlin",
        "timezone: Europe/Bern",
        "partitions.timezone: got Europe/Bern, expected an IANA time zone, like America/New_York. Hint: mend timezone",
    ),
    "end before start": (
        "end: 2020-02-15",
        "end: 2019-02-15",
        "partitions: got .*, expected end after start, got start 2020-01-01 and end 2019-02-15.*",
    ),
    "known_at without tolerance": (
        "        tolerance: 3h\n",
        "",
        "features.lookups.road: got .*, expected known_at and tolerance together.*",
    ),
    "lookup by a column that no row has": (
        "by: [line]\n        columns",
        "by: [lime]\n        columns",
        "features.lookups.lines.by.0: got lime, expected the key, the event time or an input. Hint: did you mean line?",
    ),
    "lookup by the label": (
        "by: [line]\n        columns",
        "by: [is_late]\n        columns",
        "features.lookups.lines.by.0: got is_late, expected the key, the event time or an input.*",
    ),
    "schema that is none": (
        "schema: .schema.Rides",
        "schema: .source.load_rides",
        "schema: got .source.load_rides, expected a pandera schema or model, .*AttributeError.*",
    ),
    "source that is no function": (
        "load: .source.load_rides",
        "load: .source.LINES",
        "source.load: got .source.LINES, expected a function .*list is not callable.* Hint: mend .source.LINES, or .*",
    ),
    "lookup that is no function": (
        "load: .source.load_road",
        "load: .source.LINES",
        "features.lookups.road.load: got .source.LINES, expected a function .*",
    ),
    "features that are no function": (
        "python: .features.build",
        "python: .features.pl",
        "features.python: got .features.pl, expected a function of a module with source text .*not callable.*",
    ),
    "features without a source text": (
        "python: .features.build",
        "python: math.sqrt",
        "features.python: got math.sqrt, expected a function of a module with source text .*Error.*",
    ),
    "feature function that fails": (
        "      lines:\n",
        "      buses:\n",
        "features.python: got feature function build: ColumnNotFoundError.*",
    ),
    "owner that Dagster refuses": (
        'owners: ["team:tests"]',
        "owners: [bob]",
        "owners.0: got bob, expected an e-mail address or team:<name>. Hint: mend owners",
    ),
    "input twice": (
        "inputs: [line, passengers]",
        "inputs: [line, passengers, line]",
        "features.inputs: got .*, expected each name once, not line again. Hint: mend inputs",
    ),
    "feature twice": (
        "road_ice, lines_stops]",
        "road_ice, lines_stops, hour]",
        "features.columns: got .*, expected each name once, not hour again.*",
    ),
    "key twice": ("key: [ride_id]", "key: [ride_id, ride_id]", "key: got .*, expected each name once, .*ride_id"),
    "event time as a feature": (
        "road_ice, lines_stops]",
        "road_ice, lines_stops, departs_at]",
        "features.columns.6: got departs_at, expected neither key nor event time.*",
    ),
    "key as a feature": (
        "road_ice, lines_stops]",
        "road_ice, lines_stops, ride_id]",
        "features.columns.6: got ride_id, expected neither key nor event time.*",
    ),
    "feature with a name of the training set": (
        "road_ice, lines_stops]",
        "road_ice, lines_stops, day]",
        "features.columns.6: got day, expected a name other than partition, day, label, .*",
    ),
    "feature of a kind no model takes": (
        "columns: {ice: float64}",
        "columns: {ice: timestamp}",
        "features.columns.4: got road_ice .Datetime.*, expected a number, bool or string. Hint: derive one .*",
    ),
    "label that is no bool": (
        "column: is_late",
        "column: arrived_at",
        "label.column: got arrived_at .Datetime.*, expected a bool, or a number that is 0 or 1. .*",
    ),
    "no window": ("window: 5d", "window: 0d", "monitoring.window: got 0d, expected more than no time. .*"),
    "no tolerance": ("tolerance: 3h", "tolerance: 0h", "features.lookups.road.tolerance: got 0h, expected more"),
    "no training window": ("{train: 14d", "{train: 0d", "split.train: got 0d, expected more than no time. .*"),
    "duration beyond all time": (
        "holdout: 5d}",
        "holdout: 9999999999d}",
        "split.holdout: got 9999999999d, expected a duration like 2w, 7d or 6h.*",
    ),
    "misspelt parameter": (
        "num_leaves: 7",
        "num_leafs: 7",
        "models.gbm.params.num_leafs: got key num_leafs, expected one of .* Hint: did you mean num_leaves?",
    ),
    "parameter of a wrong kind": (
        "num_leaves: 7",
        "num_leaves: many",
        "models.gbm.params.num_leaves: got 'many', expected a valid integer. Hint: mend num_leaves",
    ),
    "parameter out of bounds": (
        "num_leaves: 7",
        "num_leaves: 1",
        "models.gbm.params.num_leaves: got 1, expected greater than or equal to 2.*",
    ),
    "boosting that cannot stop early": (
        "num_leaves: 7",
        "boosting: dart",
        "models.gbm.params.boosting: got 'dart', expected 'gbdt' or 'rf'.*",
    ),
    "parameter that the spec has": (
        "num_leaves: 7",
        "n_estimators: 7",
        "models.gbm.params.n_estimators: got key n_estimators, .* Hint: set rounds beside params",
    ),
    "parameter that the trainer sets": (
        "num_leaves: 7",
        "metric: auc",
        "models.gbm.params.metric: got key metric, .* Hint: the trainer sets it: take it out",
    ),
}  # fmt: skip
FAULTS |= {
    "nulls of a column that no row has": (
        "rows_at_least: 50",
        "rows_at_least: 50, null_share_at_most: {lime: 0.1}",
        "quality.null_share_at_most.lime: got lime, expected a column of the schema. Hint: did you mean line?",
    ),
    "range of text": (
        "rows_at_least: 50",
        "rows_at_least: 50, ranges: {line: {at_least: 0}}",
        "quality.ranges.line: got line .String., expected a column of numbers. Hint: take it out",
    ),
    "unknown check to warn": (
        "rows_at_least: 50",
        "rows_at_least: 50, warn: [rows]",
        "quality.warn.0: got 'rows', expected 'rows_at_least', 'volume_is_usual', .*",
    ),
}
GBM = (
    "    gbm: {kind: lightgbm, params: {num_leaves: 7, min_data_in_leaf: 20, num_threads: 1}, rounds: 60, patience: 10}"
)
SECOND = "\n    flat: {kind: lightgbm, params: {num_leaves: 3}}"
FAULTS |= {
    "several models without an ensemble": (
        GBM,
        GBM + SECOND,
        r"models: got gbm, flat, expected one model, or an ensemble that joins them. "
        r"Hint: add ensemble: {kind: weighted, of: .gbm, flat.}",
    ),
    "ensemble of one": (
        GBM,
        f"{GBM}\n  ensemble: {{kind: average, of: [gbm]}}",
        r"ensemble.of: got .'gbm'., expected Value should have at least 2 items.* Hint: mend of",
    ),
    "ensemble of an unknown model": (
        GBM,
        f"{GBM}{SECOND}\n  ensemble: {{kind: average, of: [gbm, flat, gbn]}}",
        "ensemble.of.2: got gbn, expected one of models. Hint: did you mean gbm?",
    ),
    "ensemble of one model twice": (
        GBM,
        f"{GBM}{SECOND}\n  ensemble: {{kind: average, of: [gbm, flat, gbm]}}",
        r"ensemble.of: got .*, expected each name once, not gbm again. Hint: mend of",
    ),
    "model that is no member": (
        GBM,
        f"{GBM}{SECOND}\n    deep: {{kind: lightgbm}}\n  ensemble: {{kind: average, of: [gbm, flat]}}",
        "models.deep: got deep, which ensemble.of does not name, expected only members of the ensemble. "
        "Hint: add deep to ensemble.of, or take it out",
    ),
    "ensemble of a kind that is none": (
        GBM,
        f"{GBM}{SECOND}\n  ensemble: {{kind: vote, of: [gbm, flat]}}",
        "ensemble.kind: got 'vote', expected 'average', 'weighted', 'stacked' or 'best'. Hint: mend kind",
    ),
    "stack without folds": (
        GBM,
        f"{GBM}{SECOND}\n  ensemble: {{kind: stacked, of: [gbm, flat]}}",
        "split: got 0 folds, expected at least 2 with ensemble.kind: stacked, which is fitted on what folds predict. "
        "Hint: add folds: 2 to split, or take weighted",
    ),
    "stack of folds that leave too little": (
        f"holdout: 5d}}\n  models:\n{GBM}",
        f"holdout: 5d, folds: 3}}\n  models:\n{GBM}{SECOND}\n  ensemble: {{kind: stacked, of: [gbm, flat]}}",
        "split.folds: got 5d, expected at least train_at_least, 7d, before the stretch that a fold stops on. "
        "Hint: fewer folds, a shorter validation or a longer train",
    ),
}
LINE_OF = {
    "several models without an ensemble": "  models:",
    "model that is no member": "    deep:",
    "stack without folds": "  split:",
    "stack of folds that leave too little": "  split:",
    "known_at without tolerance": "      road:",
    "lookup by a column that no row has": "by: [lime]",
    "lookup by the label": "by: [is_late]",
    "known with the label": "inputs: [line",
    "feature of a kind no model takes": "columns: [line, passengers, crowding",
    "feature function that fails": "python: .features.build",
    "two ways to decide": "  decide:",
    "own metric that is not there": "  metrics:",
    "own metric that is no function": "  metrics:",
    "own metric under a taken name": "attributes:",
}
LAKE_TABLES = {"quarantine", "profiles"}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_told_with_its_line(case: str, tmp_path: Path) -> None:
    """Each in one line: `file:line: where: got, expected. Hint`."""
    old, new, said = FAULTS[case]
    text, path = _changed(old, new), tmp_path / "defs.yaml"
    line = _line(text, LINE_OF.get(case) or new.rpartition("\n")[2])
    with pytest.raises(SpecError) as caught:
        _resolve(path, text)
    pattern = f"{re.escape(str(path))}:{line}: {said.replace('?', '[?]')}"
    assert re.match(pattern, str(caught.value)), f"{caught.value}\nis not\n{pattern}"
    assert "Hint: " in str(caught.value)
    assert "\n" not in str(caught.value)


# What the hour of the tiny pipeline is made of, in the place of the departure's own.
IMPURE = {
    "the batch": "pl.col('departs_at').dt.hour() - pl.col('departs_at').dt.hour().mean()",
    "the clock": "pl.lit(float(datetime.now(UTC).toordinal()))",
    "chance": "pl.lit(random.random())",
    "the module's state": "pl.lit(float(CALLS.append(0) or len(CALLS)))",
}


@pytest.mark.parametrize("looks_at", IMPURE)
def test_a_feature_that_looks_beyond_its_row_is_refused(
    looks_at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When definitions load, by the line of its column."""
    code = (FOLDER / "features.py").read_text()
    own = 'pl.col("departs_at").dt.convert_time_zone("Europe/Berlin").dt.hour().cast(pl.Float64)'
    assert own in code
    head = "import random\nfrom datetime import UTC, datetime\n\nCALLS = []\n"
    impure = head + code.partition('"""\n')[2].replace(own, IMPURE[looks_at])
    monkeypatch.setattr(resolution, "getsource", lambda _: impure)
    with pytest.raises(SpecError, match=r"hour: other values .*expected values that depend on their own row") as caught:
        _resolve(tmp_path / "defs.yaml", TEXT)
    assert f"defs.yaml:{_line(TEXT, '    columns: [')}: features.columns" in str(caught.value)
    assert "crowding" not in str(caught.value)


def test_a_missing_key_is_told_where_it_belongs(tmp_path: Path) -> None:
    """At the part that lacks it."""
    path = tmp_path / "defs.yaml"
    with pytest.raises(SpecError, match=r"defs\.yaml:3: key: got nothing, expected a value for key. Hint: add it"):
        _resolve(path, _changed("  key: [ride_id]\n", ""))
    with pytest.raises(SpecError, match=r"label: got .*, expected exactly one of known_at") as caught:
        _resolve(path, _changed(", known_at: arrived_at}", "}"))
    assert f"defs.yaml:{_line(TEXT, 'label:')}: " in str(caught.value)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    """One line each, so that one run shows all there is to mend."""
    text = (
        TEXT.replace("owners:", "ownerz:")
        .replace("holdout: 5d", "holdout: soon")
        .replace("metric: roc_auc", "metric: 7")
    )
    with pytest.raises(SpecError) as caught:
        _resolve(tmp_path / "defs.yaml", text)
    found = {line.split(": ")[1] for line in str(caught.value).splitlines()}
    assert found == {"ownerz", "split.holdout", "gates.2.metric"}
    text = TEXT.replace("[line, passengers]", "[lime, passengers]").replace("event_time: departs_at", "event_time: at")
    with pytest.raises(SpecError) as caught:
        _resolve(tmp_path / "defs.yaml", text)
    assert {line.split(": ")[1] for line in str(caught.value).splitlines()} == {"event_time", "features.inputs.0"}


def test_every_feature_that_nothing_makes_is_told(tmp_path: Path) -> None:
    """Each at its own line, also where one's name begins like another's."""
    text = _changed(
        "[line, passengers, crowding, hour, road_ice, lines_stops]", "[line,\n      lines,\n      road_snow]"
    )
    with pytest.raises(SpecError) as caught:
        _resolve(tmp_path / "defs.yaml", text)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines] == [str(_line(text, part)) for part in ("      lines,", "road_snow]")]
    assert [line.split(": ")[2].partition(",")[0] for line in lines] == [
        "got no column lines",
        "got no column road_snow",
    ]


def test_the_sound_spec_resolves(tmp_path: Path) -> None:
    """The text that the others break is itself without fault."""
    pipeline = _resolve(tmp_path / "defs.yaml", TEXT)
    assert [field.name for field in pipeline.signature] == ["ride_id", "departs_at", "line", "passengers"]
    assert pipeline.table("raw") == "tiny/raw"


def _stages() -> set[str]:
    graph = definitions().resolve_asset_graph()
    return {key.path[-1] for key in graph.get_all_asset_keys()} - set(tiny().spec.features.lookups)


def test_a_lookup_may_not_take_the_name_of_another_table(tmp_path: Path) -> None:
    """Every stage of the graph and every other table of the lake."""
    for name in _stages() | LAKE_TABLES:
        text = _changed("      lines:\n", f"      {name}:\n")
        with pytest.raises(
            SpecError,
            match=rf":{_line(text, f'      {name}:')}: features\.lookups\.{name}: got {name}, expected a name",
        ):
            _resolve(tmp_path / "defs.yaml", text)


def test_a_lookup_may_not_take_the_name_of_a_member(tmp_path: Path) -> None:
    """It would be one asset with the stage that fits the member; without an ensemble there is no such stage."""
    text = _changed("      lines:\n", "      member_gbm:\n").replace("lines_stops", "member_gbm_stops")
    text = text.replace("    python: .features.build\n", "").replace("passengers, crowding, hour,", "passengers,")
    assert "member_gbm" in _resolve(tmp_path / "defs.yaml", text).lookups
    text = text.replace(GBM, f"{GBM}{SECOND}\n  ensemble: {{kind: average, of: [gbm, flat]}}")
    said = r"features\.lookups\.member_gbm: got member_gbm, expected another name, as member_gbm fits the model gbm"
    with pytest.raises(SpecError, match=f":{_line(text, '      member_gbm:')}: {said}"):
        _resolve(tmp_path / "defs.yaml", text)


def test_members_predict_the_same_quantile(tmp_path: Path) -> None:
    """A mean and a quantile do not answer as one, and a stack of quantiles would be a mean."""
    text = _changed("task: binary", "task: regression").replace("is_late, task", "passengers, task")
    text = text.replace("[line, passengers]", "[line]").replace("[line, passengers, crowding", "[line")
    quantile = "quantile: 0.9, rounds: 60"
    for models, kind, said in (
        (GBM.replace("rounds: 60", quantile) + SECOND, "average", r"models\.flat: got quantile None, expected 0\.9"),
        (
            f"{GBM}{SECOND}".replace("rounds: 60", quantile).replace("{kind: lightgbm, params: {num_leaves: 3}",
            "{kind: lightgbm, quantile: 0.9, params: {num_leaves: 3}"), "stacked", r"ensemble\.kind: got stacked",
        ),
    ):  # fmt: skip
        changed = text.replace(GBM, f"{models}\n  ensemble: {{kind: {kind}, of: [gbm, flat]}}")
        with pytest.raises(SpecError, match=said):
            _resolve(tmp_path / "defs.yaml", changed)


def test_owners_are_those_that_dagster_takes(tmp_path: Path) -> None:
    """No more: Dagster would refuse them with a traceback."""
    for owner in ("team:tests", "a.b@c.org", "a@b", "team:", "%a@b.org", "team tests"):
        path, text = tmp_path / "defs.yaml", _changed("team:tests", owner)
        try:
            dg.AssetSpec("raw", owners=[owner])
        except dg.DagsterInvalidDefinitionError:
            with pytest.raises(SpecError, match=r"owners\.0: got"):
                _resolve(path, text)
        else:
            assert _resolve(path, text).spec.owners == [owner]


def test_what_only_classes_have_is_no_part_of_a_regression(tmp_path: Path) -> None:
    """Metrics and parameters, each told at its line."""
    text = _changed("task: binary", "task: regression").replace("column: is_late", "column: passengers")
    text = text.replace("inputs: [line, passengers]", "inputs: [line]").replace("num_leaves: 7", "is_unbalance: true")
    with pytest.raises(SpecError) as caught:
        _resolve(tmp_path / "defs.yaml", text)
    *gates, parameter = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in gates] == [f"gates.{place}.metric" for place in range(3)]
    assert all("expected one of rmse, mae, mape, pinball. Hint: label.task is regression" in line for line in gates)
    where = f":{_line(text, 'is_unbalance')}: models.gbm.params.is_unbalance: got is_unbalance, expected no such"
    assert where in parameter


def test_a_regression_decides_nothing(tmp_path: Path) -> None:
    """And has no quantile to judge by unless its models predict one."""
    text = _changed("task: binary", "task: regression").replace("column: is_late", "column: passengers")
    text = text.replace("inputs: [line, passengers]", "inputs: [line]").replace(
        "  gates:", "  decide: {best: f1}\n  gates:"
    )
    text = text.replace("metric: log_loss, at_most", "metric: pinball, at_most")
    with pytest.raises(SpecError) as caught:
        _resolve(tmp_path / "defs.yaml", text)
    told = str(caught.value)
    assert f":{_line(text, 'decide:')}: decide: got decide with label.task regression, expected label.task: bin" in told
    assert "gates.0.metric: got pinball, expected models of one quantile" in told


def test_an_own_metric_is_found_and_may_be_gated(tmp_path: Path) -> None:
    """Like other Python of the author, by its path."""
    text = _changed("{metric: log_loss, at_most: 0.68}", "{metric: lost, at_most: 9, confidence: 0.9, newest: 2d}")
    text = text.replace("  gates:", "  metrics: {lost: {function: numpy.dot, better: lower}}\n  gates:")
    found = _resolve(tmp_path / "defs.yaml", text)
    assert found.metrics["lost"] is np.dot
    assert found.spec.gates[0].condition == "lost_at_most_9_0_on_the_newest_2d_with_confidence_0_9"


def test_retraining_needs_no_pause(tmp_path: Path) -> None:
    """`cool_down` alone may be no time."""
    spec = _resolve(tmp_path / "defs.yaml", _changed("cool_down: 5d", "cool_down: 0d")).spec
    assert spec.retraining.cool_down == timedelta(0)


@pytest.mark.parametrize(
    ("module", "said"), [("1 / 0", "ZeroDivisionError"), ("def (", "SyntaxError"), ("import polarz", "ModuleNotFound")]
)
def test_whatever_an_authors_module_raises_is_a_fault_of_its_field(
    module: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told with the others, by the exception's name."""
    (tmp_path / f"broken_{said}.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    text = _changed(".source.load_rides", f"broken_{said}.load").replace(".schema.Rides", ".schema.Ride")
    with pytest.raises(SpecError) as caught:
        _resolve(tmp_path / "defs.yaml", text)
    first, second = str(caught.value).splitlines()
    assert f"source.load: got broken_{said}.load, expected an importable module and a name in it ({said}" in first
    assert "schema: got .schema.Ride, expected" in second


@pytest.mark.slow
def test_a_spec_is_checked_without_lightgbm() -> None:
    """It is heavy, and definitions load in every process of a run."""
    code = "import sys; from ml_platform_tests.pipelines.world import tiny; tiny(); print('lightgbm' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


@pytest.mark.parametrize(("hours", "days"), [(1, 1), (6, 1), (23, 1), (24, 2), (47, 2), (48, 3)])
def test_a_tolerance_reaches_back_over_a_day_of_23_hours(hours: int, days: int) -> None:
    """From the first instant of the day after the clocks went forward; the partition mapping and the read agree."""
    assert whole_days(timedelta(hours=hours)) == timedelta(days=days)
    berlin = ZoneInfo("Europe/Berlin")
    midnight = datetime(2020, 3, 30, tzinfo=berlin).astimezone(UTC)
    reached = (midnight - timedelta(hours=hours)).astimezone(berlin).date()
    assert (date(2020, 3, 30) - reached).days == days


def _in_a_defs_folder(text: str) -> str:
    return text.replace(": .", f": {PACKAGE}.")


def test_a_defs_folder_becomes_a_graph() -> None:
    """The component, loaded as Dagster loads it."""
    with create_defs_folder_sandbox() as sandbox:
        folder = sandbox.defs_folder_path / "rides"
        folder.mkdir()
        (folder / "defs.yaml").write_text(_in_a_defs_folder(TEXT))
        with sandbox.load_component_and_build_defs(folder) as (component, definitions):
            assert isinstance(component, MLPipeline)
            whole = dg.Definitions.merge(definitions, dg.Definitions(resources=platform_resources()))
            keys = whole.resolve_asset_graph().get_all_asset_keys()
            assert {key.path[-1] for key in keys} >= {"raw", "features", "candidate", "endpoint", "drift", "road"}


def test_a_defs_folder_with_a_fault_does_not_load() -> None:
    """Dagster's error carries ours, with the real file and line."""
    text = _in_a_defs_folder(_changed("metric: roc_auc", "metric: auc"))
    with create_defs_folder_sandbox() as sandbox:
        folder = sandbox.defs_folder_path / "rides"
        folder.mkdir()
        (folder / "defs.yaml").write_text(text)
        with pytest.raises(Exception, match="defs") as caught, sandbox.build_all_defs():
            pass
        told = str(caught.value) + str(caught.value.__cause__)
        assert f"{folder / 'defs.yaml'}:{_line(text, 'metric: auc')}: gates.2.metric: got auc" in told


def test_the_editor_is_shown_the_schema_of_the_spec() -> None:
    """Dagster hands it to YAML editors."""
    schema = MLPipeline.get_model_cls().model_json_schema()
    assert {"partitions", "source", "gates", "schema"} <= set(schema["properties"])


FROZEN = """\
columns:
  ride_id: {type: string}
  departs_at: {type: timestamp}
  line: {type: string, one_of: [u1, u2, u3]}
  passengers: {type: float64}
  arrived_at: {type: timestamp, nullable: true}
  is_late: {type: bool, nullable: true}
"""
NO_SCHEMA = _changed("  schema: .schema.Rides\n", "")


def test_a_spec_that_names_no_schema_takes_the_frozen_one(tmp_path: Path) -> None:
    """It gives the same signature as the pandera schema that it writes down."""
    (tmp_path / "schema.yaml").write_text(FROZEN)
    assert _resolve(tmp_path / "defs.yaml", NO_SCHEMA).signature == tiny().signature


def test_a_spec_without_any_schema_says_how_to_freeze_one(tmp_path: Path) -> None:
    with pytest.raises(
        SpecError, match=r"schema\.yaml: got no file, .* Hint: write it by `ml-platform schema PIPELINE`"
    ):
        _resolve(tmp_path / "defs.yaml", NO_SCHEMA)


def test_a_fault_of_the_frozen_schema_is_told_by_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "schema.yaml").write_text(FROZEN.replace("float64", "float"))
    with pytest.raises(SpecError, match=r"schema\.yaml:5: columns\.passengers\.type: got 'float'"):
        _resolve(tmp_path / "defs.yaml", NO_SCHEMA)


@pytest.mark.parametrize(
    ("known_after", "waits", "refused"),
    [
        ("23h", "label_delay: 0d, embargo: 0d", []),
        ("24h", "label_delay: 0d, embargo: 0d", ["split.label_delay", "split.embargo"]),
        ("24h", "label_delay: 1d, embargo: 0d", ["split.embargo"]),
        ("47h", "label_delay: 1d, embargo: 1d", []),
        ("2d", "label_delay: 1d, embargo: 2d", ["split.label_delay"]),
    ],
)
def test_labels_that_come_later_than_the_split_waits_are_refused(
    known_after: str, waits: str, refused: list[str], tmp_path: Path
) -> None:
    """Else the last day of the holdout, or of the validation, would never have a row."""
    text = TEXT.replace("known_at: arrived_at}", f"known_after: {known_after}}}")
    text = text.replace("split: {train: 14d", f"split: {{{waits}, train: 14d")
    if not refused:
        assert _resolve(tmp_path / "defs.yaml", text).spec.label.known_after is not None
        return
    with pytest.raises(SpecError) as caught:
        _resolve(tmp_path / "defs.yaml", text)
    assert re.findall(r"defs.yaml:\d+: (split\.\w+): got", str(caught.value)) == refused
    days = int(known_after[:-1]) // (24 if known_after.endswith("h") else 1)
    assert f"expected at least {days}d, as labels are known {days} days after the event" in str(caught.value)


WITH_SUITE = _changed("rows_at_least: 50", "rows_at_least: 50, expectations: suite.json")
SUITE = '{"expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "line"}}]}'


def test_each_expectation_of_a_suite_is_a_check(tmp_path: Path) -> None:
    """Told without the library that runs them."""
    (tmp_path / "suite.json").write_text(SUITE)
    pipeline = _resolve(tmp_path / "defs.yaml", WITH_SUITE)
    names = [spec.name for spec in quality_check_specs(pipeline)]
    always = ["rows_at_least", "few_rows_quarantined", "key_is_unique"]
    assert names == [*always, "expect_column_values_to_not_be_null_line"]


def test_a_suite_without_the_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When definitions load, not in the middle of a run."""
    (tmp_path / "suite.json").write_text(SUITE)
    monkeypatch.setitem(sys.modules, "great_expectations", None)
    line = _line(WITH_SUITE, "suite.json")
    with pytest.raises(SpecError, match=rf":{line}: quality\.expectations: got suite\.json, but no package .*\[gx\]"):
        _resolve(tmp_path / "defs.yaml", WITH_SUITE)
