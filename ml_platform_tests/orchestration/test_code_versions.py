"""What a bundle's digest covers: the code and the parts of the spec that a model depends on, and nothing else."""

import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ml_platform.contracts.spec import PipelineSpec
from ml_platform.orchestration.code_versions import AROUND_A_MODEL, PLATFORM, code_version, model_spec, spec_digest
from ml_platform_tests.pipelines.world import tiny

USED_BY_A_FIT = ["contracts", "data", "features", "monitoring", "orchestration", "registry", "scoring", "training"]
# For each part of the spec around a model, another value of it.
OTHERWISE = {
    "description": "Said in other words.",
    "owners": ["team:others"],
    "gates": [{"metric": "log_loss", "at_most": 0.5}],
    "approval": {"mode": "manual"},
    "tracking": ["tensorboard"],
    "monitoring": {"window": "3d"},
    "retrain": {"when": ["drift"], "cool_down": "9d"},
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Give a copy of the platform's package."""
    return Path(shutil.copytree(PLATFORM, tmp_path / "package", ignore=shutil.ignore_patterns("__pycache__")))


def _version(package: Path) -> str:
    code_version.cache_clear()
    return code_version(package)


@pytest.mark.parametrize("seed", range(20))
def test_pipelines_come_change_and_go_and_the_code_of_a_model_stays(package: Path, seed: int) -> None:
    before, dice = _version(package), random.Random(seed)  # noqa: S311 - chooses files
    defs = package / "defs"
    for number in range(5):
        what = dice.choice(["add", "edit", "remove"])
        modules = sorted(defs.rglob("*.py"))
        if what == "add" or not modules:
            folder = defs / f"made_up_{number}" / dice.choice(["", "deeper"])
            folder.mkdir(parents=True)
            (folder / dice.choice(["source.py", "features.py", "__init__.py"])).write_text(f"NUMBER = {number}\n")
        elif what == "edit":
            with dice.choice(modules).open("a") as module:
                module.write("# edited\n")
        else:
            dice.choice(modules).unlink()
        assert _version(package) == before


@pytest.mark.parametrize("room", USED_BY_A_FIT)
def test_any_module_that_a_fit_uses_changes_the_code_of_a_model(package: Path, room: str) -> None:
    """The trainers among them: edited, added or removed."""
    before = _version(package)
    modules = sorted((package / room).rglob("*.py"))
    dice = random.Random(room)  # noqa: S311 - chooses files
    for module in dice.sample(modules, k=min(3, len(modules))):
        text = module.read_text()
        module.write_text(f"{text}# edited\n")
        assert _version(package) != before
        module.write_text(text)
        assert _version(package) == before
    (package / room / "new.py").write_text("")
    assert _version(package) != before
    (package / room / "new.py").unlink()
    modules[-1].unlink()
    assert _version(package) != before


def _spec(**changed: object) -> PipelineSpec:
    return PipelineSpec.model_validate(tiny().spec.model_dump(mode="json", by_alias=True) | changed)


@pytest.mark.parametrize("part", AROUND_A_MODEL)
def test_a_model_does_not_depend_on_how_it_is_judged_and_watched(part: str) -> None:
    other = _spec(**{part: OTHERWISE[part]})
    assert other != tiny().spec
    assert spec_digest(replace(tiny(), spec=other)) == spec_digest(tiny())
    assert model_spec(other) == model_spec(tiny().spec)


@pytest.mark.parametrize("part", sorted({each.alias or name for name, each in PipelineSpec.model_fields.items()}))
def test_a_model_depends_on_every_other_part(part: str) -> None:
    """A part that is new to the spec counts, until somebody says that no model depends on it."""
    declared = tiny().spec.model_dump(mode="json", by_alias=True)
    assert (part in model_spec(tiny().spec)) is (part not in AROUND_A_MODEL)
    assert part in declared
