"""Levels exist as far as the spec goes, and no further."""

from typing import Any

import pytest

from ml_platform.authoring.levels import LEVELS, Part, parts_of, require_level, require_written
from ml_platform.contracts.errors import SpecError
from ml_platform.contracts.spec import LightGBMModel

NOT_YET = {4: "gradual rollout", 5: "gradual rollout"}
WRITTEN: dict[str, Any] = {"quality": {}, "monitoring": {}, "retrain": {}, "models": {"gbm": {"kind": "lightgbm"}}}


def _exists(level: int) -> bool:
    return all(part.exists for part in parts_of(level))


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_is_taken_or_refused_by_the_part_that_is_missing(level: int) -> None:
    """The spec decides: the day it has the field, the refusal ends."""
    if _exists(level):
        require_level(level)
    else:
        with pytest.raises(SpecError, match=f"--level {level}: got .*{NOT_YET[level]}.*which does not exist yet"):
            require_level(level)


def test_the_first_three_exist() -> None:
    assert [level for level in LEVELS if _exists(level)][:3] == [1, 2, 3]


def test_a_level_that_the_spec_has_and_the_text_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is promised that was not written."""
    require_written(2, WRITTEN)
    with pytest.raises(SpecError, match=r"--level 2: got monitoring, for which no template exists yet"):
        require_written(2, {name: value for name, value in WRITTEN.items() if name != "monitoring"})
    monkeypatch.setitem(LEVELS, 3, (Part("more rounds", "rounds", LightGBMModel),))  # type: ignore[arg-type]
    require_level(3)
    with pytest.raises(SpecError, match=r"--level 3: got more rounds.* Hint: take --level 2"):
        require_written(3, WRITTEN)
