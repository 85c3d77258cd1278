"""Options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="ML_PLATFORM_HOME", help="Folder of the installation.", show_default=True)
]
PROJECT = Path(__file__).parents[2]


def package_of(folder: Path) -> str:
    """Give the import name of a pipeline's folder."""
    return ".".join(folder.relative_to(PROJECT).parts) if folder.is_relative_to(PROJECT) else folder.name
