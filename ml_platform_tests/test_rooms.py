"""House rules that no linter knows: what every module of the platform looks like, and how small an asset body stays."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ml_platform

PACKAGE = Path(ml_platform.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
ORCHESTRATION = sorted((PACKAGE / "orchestration").glob("*.py"))
BODY_LINES_AT_MOST, MODULE_LINES_AT_MOST = 12, 300
DECORATORS = {"stage_asset", "asset", "multi_asset", "asset_check"}


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def _assets(path: Path) -> Iterator[ast.FunctionDef]:
    """Give the functions that become assets or checks, wherever they stand."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and DECORATORS & {_called(each) for each in node.decorator_list}:
            yield node


def _called(decorator: ast.expr) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""


def _body_lines(function: ast.FunctionDef) -> int:
    """Count the lines of a body, imports that are late on purpose and the docstring left out."""
    late = (ast.Import, ast.ImportFrom)
    body = [node for node in function.body if not isinstance(node, late)]
    if ast.get_docstring(function):
        body = body[1:]
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in body)


def test_there_are_assets_to_look_at() -> None:
    """The rule below would hold of nothing, too."""
    assert {each.name for path in ORCHESTRATION for each in _assets(path)} >= {"raw", "candidate", "endpoint", "drift"}


@pytest.mark.parametrize("path", ORCHESTRATION, ids=_name)
def test_an_asset_body_is_small(path: Path) -> None:
    """It reads, calls one function below and returns with metadata; what it does is tested without Dagster."""
    long = {each.name: lines for each in _assets(path) if (lines := _body_lines(each)) > BODY_LINES_AT_MOST}
    assert not long


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_has_a_charter_and_a_size(path: Path) -> None:
    """Its docstring says what belongs there; beyond 300 lines it holds two things."""
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= MODULE_LINES_AT_MOST


@pytest.mark.parametrize("path", [*ORCHESTRATION, *sorted((PACKAGE / "defs").rglob("*.py"))], ids=_name)
def test_annotations_are_no_strings_where_dagster_reads_them(path: Path) -> None:
    """`config: MyConfig` under the future import is a string to Dagster, and fails."""
    assert "from __future__ import annotations" not in path.read_text()
