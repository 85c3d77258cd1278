"""Wrong windows and expressions are told when definitions load: where, what, and what to do."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_platform.contracts.errors import SpecError
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import FOLDER

pytestmark = DAGSTER

GOOD = {"name": "late_2d", "by": ["line"], "how": "share", "of": "is_late", "over": "2d"}


def _resolve(path: Path, windows: list[dict[str, Any]], derive: dict[str, str], **features: Any) -> Pipeline:
    document = yaml.safe_load((FOLDER / "defs.yaml").read_text())
    document["attributes"]["features"] |= {"windows": windows, "derive": derive, **features}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return resolve(document["attributes"], path, "ml_platform_tests.pipelines.tiny")


WRONG_WINDOWS = {
    "unknown entity": ({"by": ["lines"]}, r"by\.0: got lines, expected the key, .* Hint: did you mean line\?"),
    "entity that no request carries": ({"by": ["is_late"]}, r"by\.0: got is_late, expected the key, the event time or"),
    "unknown column": ({"of": "is_lat"}, r"of: got is_lat, expected a column of the schema. Hint: did"),
    "share of a number": ({"of": "passengers"}, r"of: got passengers \(Float64\), expected a bool with how: share"),
    "mean of words": ({"of": "line", "how": "mean"}, r"of: got line \(String\), expected a number or bool with how"),
    "unknown column in where": ({"where": "passenger > 3"}, r"where: got column passenger, .* mean passengers\?"),
    "where that is no condition": ({"where": "passengers * 2"}, r"where: got passengers \* 2 \(Float64\), expected a"),
    "where that looks beyond": ({"where": "passengers > avg(passengers)"}, r"where: got a call of avg, expected"),
    "where that is no SQL": ({"where": "passengers >"}, r"where: got SQL.*, expected an SQL expression"),
    "name of an input": ({"name": "passengers"}, r"name: got passengers, expected a name that no input, lookup column"),
    "name of a lookup's column": ({"name": "road_ice"}, r"name: got road_ice, expected a name that no input, lookup"),
    "name of the platform": ({"name": "plan"}, r"name: got plan, expected a name that no input, lookup column or"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), WRONG_WINDOWS.values(), ids=list(WRONG_WINDOWS))
def test_a_wrong_window_is_told_by_its_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """It stands after a good one, so that the place counts."""
    path = tmp_path / "defs.yaml"
    with pytest.raises(SpecError, match=rf"defs\.yaml:(\d+): features\.windows\.1\.{message}") as refused:
        _resolve(path, [GOOD, GOOD | {"name": "wrong"} | change], {})
    line = int(str(refused.value).split(":")[1])
    field = next(iter(change))
    assert path.read_text().splitlines()[line - 1].strip("- ").startswith((field, str(change[field][0])))


@pytest.mark.parametrize(
    ("derive", "message"),
    [
        ({"half": "passengers / 2", "bad": "halv * 2"}, r'bad: got ColumnNotFoundError: .*"halv"'),
        ({"bad": "passengers +"}, r"bad: got SQL"),
        ({"bad": "sum(passengers)"}, r"bad: got a call of sum, expected an expression over one row"),
        ({"bad": "is_late"}, r"bad: got ColumnNotFoundError"),
        ({"bad": "later", "later": "passengers"}, r"bad: got ColumnNotFoundError"),
        ({"line": "passengers"}, r"line: got line, expected a name that no input"),
    ],
)
def test_a_wrong_expression_is_told_by_its_name_and_line(tmp_path: Path, derive: dict[str, str], message: str) -> None:
    """Of the label too: it is not known when the prediction is asked for."""
    path = tmp_path / "defs.yaml"
    with pytest.raises(SpecError, match=rf"features\.derive\.{message}") as refused:
        _resolve(path, [GOOD], derive)
    name = message.partition(":")[0]
    line = int(str(refused.value).split(":")[1])
    assert path.read_text().splitlines()[line - 1].strip().startswith(f"{name}:")


def test_a_description_of_nothing_is_told(tmp_path: Path) -> None:
    """Perhaps it was meant for another name."""
    with pytest.raises(SpecError, match=r"features\.descriptions\.late_2: got late_2, .* did you mean late_2d\?"):
        _resolve(tmp_path / "defs.yaml", [GOOD], {}, descriptions={"late_2": "?"})


def test_a_window_and_what_is_derived_of_it_need_not_be_features(tmp_path: Path) -> None:
    """They may serve another expression; a good spec gives the plan with both."""
    columns = ["line", "late_or_none"]
    made = _resolve(tmp_path / "defs.yaml", [GOOD], {"late_or_none": "coalesce(late_2d, 0)"}, columns=columns)
    assert list(made.types) == columns
    assert made.plan.history is not None
    assert made.plan.timezone == made.plan.history.timezone == "Europe/Berlin"
