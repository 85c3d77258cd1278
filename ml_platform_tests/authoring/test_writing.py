"""The folder of a new pipeline is written whole or not at all, and never over somebody's work."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.authoring.writing import flow, oneline, require_free, write_folder
from ml_platform.contracts.errors import SpecError

FILES = {"defs.yaml": "new", "schema.yaml": "columns", "__init__.py": '"""Doc."""\n'}


def _tree(root: Path) -> dict[str, str]:
    return {str(each.relative_to(root)): each.read_text() for each in sorted(root.rglob("*")) if each.is_file()}


def _proved(folder: Path) -> None:
    assert _tree(folder) == FILES


def test_a_folder_is_proved_before_it_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "defs" / "tips"
    seen: list[bool] = []
    assert (
        write_folder(folder, FILES, lambda made: seen.append(folder.exists() or _tree(made) != FILES), force=False)
        == []
    )
    assert seen == [False]
    assert _tree(tmp_path) == {f"defs/tips/{name}": text for name, text in FILES.items()}


def test_what_does_not_load_leaves_nothing_behind(tmp_path: Path) -> None:
    def refuse(made: Path) -> None:
        raise SpecError(str(made))

    with pytest.raises(SpecError):
        write_folder(tmp_path / "defs" / "tips", FILES, refuse, force=False)
    assert _tree(tmp_path) == {}
    assert [each.name for each in tmp_path.iterdir()] == ["defs"]


def test_a_taken_name_is_refused_and_force_keeps_the_earlier_text(tmp_path: Path) -> None:
    folder = tmp_path / "defs" / "tips"
    write_folder(folder, FILES | {"defs.yaml": "old"}, lambda _: None, force=False)
    with pytest.raises(SpecError, match=r"got a pipeline of this name, .* --force to replace it"):
        write_folder(folder, FILES, _proved, force=False)
    assert (folder / "defs.yaml").read_text() == "old"
    kept = write_folder(folder, FILES, _proved, force=True)
    assert kept == ["defs.yaml.old", "schema.yaml.old"]
    assert (folder / "defs.yaml").read_text() == "new"
    assert (folder / "defs.yaml.old").read_text() == "old"
    assert len(list(tmp_path.rglob("*"))) == 2 + 5


def test_a_folder_with_work_of_its_own_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "tips").mkdir()
    require_free(tmp_path / "tips", force=False)  # Dagster makes it empty before it asks
    (tmp_path / "tips" / "features.py").touch()
    with pytest.raises(SpecError, match=r"got a folder with features\.py in it"):
        require_free(tmp_path / "tips", force=True)


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "defs" / "tips"
    folder.mkdir(parents=True)
    write_folder(folder, FILES, _proved, force=False)
    assert _tree(folder) == FILES


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])) | st.lists(st.text("ab: #'\"{}[],&*!|>%@`-?")))
def test_whatever_the_files_call_things_is_one_line_of_yaml(value: object) -> None:
    """Names with colons, quotes, brackets or signs of YAML."""
    assert yaml.safe_load(f"{{x: {flow(value)}, y: 1}}") == {"x": value, "y": 1}
    assert "\n" not in flow(value)
    assert "\n" not in oneline(value)
