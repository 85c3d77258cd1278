"""The folder of a new pipeline: its text rendered, proved, and put in its place whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from ml_platform.contracts.errors import SpecError, examples

YAML, SCHEMA, MODULE = "defs.yaml", "schema.yaml", "__init__.py"
OURS = frozenset({YAML, SCHEMA, MODULE, "__pycache__", f"{YAML}.old", f"{SCHEMA}.old"})


def render(values: Mapping[str, Any]) -> str:
    """Give the text of `defs.yaml`."""
    environment = Environment(
        loader=PackageLoader("ml_platform.authoring"), undefined=StrictUndefined, keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - it is YAML, and every value goes through `flow`
    )  # fmt: skip
    environment.filters |= {"flow": flow, "oneline": oneline, "thousands": "{:,}".format}
    return environment.get_template(f"{YAML}.jinja").render(values)


def flow(value: object) -> str:
    """Write a value as YAML in one line, so that it may stand within brackets too."""
    text = yaml.safe_dump([value], default_flow_style=True, width=float("inf"), sort_keys=False, allow_unicode=True)
    return text.strip()[1:-1]


def oneline(value: object) -> str:
    """Write a text so that it ends no comment."""
    return " ".join(str(value).split())[:200]


def require_free(folder: Path, *, force: bool) -> None:
    """Refuse a folder that holds something, unless it may be replaced.

    Raises
    ------
    SpecError
        If it is taken; also with `force` if files of the author's own lie in it.
    """
    there = {each.name for each in folder.iterdir()} if folder.is_dir() else {folder.name} if folder.exists() else set()
    if own := sorted(there - OURS):
        raise SpecError.because(
            str(folder), got=f"a folder with {examples(own)} in it", hint="choose another name",
            expected="no such folder, or one made by this command",
        )  # fmt: skip
    if there - {"__pycache__"} and not force:
        raise SpecError.because(
            str(folder), got="a pipeline of this name", expected="a free one",
            hint="choose another name, or --force to replace it: the earlier text is kept as *.old",
        )  # fmt: skip


def write_folder(folder: Path, files: Mapping[str, str], prove: Callable[[Path], object], *, force: bool) -> list[str]:
    """Write a pipeline's files, all or none of them.

    Parameters
    ----------
    folder : Path
        Where the pipeline will lie.
    files : mapping of str to str
        Texts by file name.
    prove : function
        Is given a folder of the same depth with the files in it, and raises if they are no pipeline.

    Returns
    -------
    list of str
        Names under which earlier files are kept.
    """
    require_free(folder, force=force)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent.parent) as scratch:
        made = Path(scratch) / folder.name
        made.mkdir()
        for name, text in files.items():
            (made / name).write_text(text, encoding="utf-8")
        prove(made)
        kept = _keep_earlier(folder, made)
        _swap(folder, made, Path(scratch) / "earlier")
    return kept


def _keep_earlier(folder: Path, made: Path) -> list[str]:
    kept = [name for name in (YAML, SCHEMA) if (folder / name).exists()]
    for name in kept:
        shutil.copy2(folder / name, made / f"{name}.old")
    return [f"{name}.old" for name in kept]


def _swap(folder: Path, made: Path, aside: Path) -> None:
    if folder.exists():
        folder.rename(aside)
    try:
        os.replace(made, folder)  # noqa: PTH105 - the same call for a folder
    except OSError:
        with suppress(FileNotFoundError):
            aside.rename(folder)
        raise
