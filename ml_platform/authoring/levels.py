"""The levels of a new pipeline: how much of the platform is switched on, and whether that much exists.

A level exists when the spec has each of its fields and the text that was written uses them: the spec is asked, so that
no level can promise what the platform does not do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from ml_platform.contracts.errors import SpecError
from ml_platform.contracts.spec import LightGBMModel, PipelineSpec


@dataclass(frozen=True)
class Part:
    """Something that a level switches on: a field of the spec, or of each of its models."""

    name: str
    field: str
    of: type[BaseModel] = PipelineSpec

    @property
    def exists(self) -> bool:
        """Whether the spec has the field."""
        return self.field in self.of.model_fields

    def is_in(self, attributes: Mapping[str, Any]) -> bool:
        """Tell whether a pipeline's attributes use it."""
        places = [attributes] if self.of is PipelineSpec else list(attributes["models"].values())
        return any(self.field in place for place in places)


LEVELS: Mapping[int, tuple[Part, ...]] = {
    1: (),
    2: (Part("validation", "quality"), Part("monitoring", "monitoring"), Part("retraining", "retrain")),
    3: (Part("search", "search", LightGBMModel),),
    4: (Part("gradual rollout", "rollout"),),
    5: (Part("an ensemble", "ensemble"),),
}


def parts_of(level: int) -> list[Part]:
    """Name what a level switches on, with all below it."""
    return [part for lower, parts in LEVELS.items() if lower <= level for part in parts]


def require_level(level: int) -> None:
    """Refuse a level that the platform cannot keep.

    Raises
    ------
    SpecError
        Names what does not exist yet.
    """
    if missing := [part.name for part in parts_of(level) if not part.exists]:
        raise _refused(level, f"{', '.join(missing)}, which does not exist yet")


def require_written(level: int, attributes: Mapping[str, Any]) -> None:
    """Refuse a text that lacks a part of its level.

    Raises
    ------
    SpecError
        Names what is not written.
    """
    if missing := [part.name for part in parts_of(level) if not part.is_in(attributes)]:
        raise _refused(level, f"{', '.join(missing)}, for which no template exists yet")


def _refused(level: int, got: str) -> SpecError:
    highest = max(each for each in LEVELS if all(part.exists for part in parts_of(each)))
    return SpecError.because(
        f"--level {level}",
        got=got,
        expected=f"a level from 1 to {min(highest, level - 1)}",
        hint=f"take --level {min(highest, level - 1)}; a further part can be added to the YAML once it exists",
    )
