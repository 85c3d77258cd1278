"""The command `schema`: infer what a pipeline's rows are and freeze it beside the YAML."""

from pathlib import Path
from typing import Annotated

import typer

from ml_platform.cli.options import PROJECT, package_of
from ml_platform.contracts.errors import SpecError

DEFS = PROJECT / "ml_platform" / "defs"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(schema)


def schema(
    pipeline: Annotated[str, typer.Argument(help="Name of the pipeline.")],
    again: Annotated[bool, typer.Option("--again", help="Write it anew; what was changed by hand is lost.")] = False,
    defs: Annotated[Path, typer.Option(help="Folder of the pipelines.")] = DEFS,
) -> None:
    """Infer types and nulls from the pipeline's source and write them to schema.yaml beside its defs.yaml."""
    from ml_platform.data.quality.frozen_schema import FILE, write_schema
    from ml_platform.orchestration.freezing import find_pipeline, freeze_schema

    path = find_pipeline(defs.absolute(), pipeline)
    place = path.parent / FILE
    if place.exists() and not again:
        raise SpecError.because(
            str(place), got="a schema that is there", expected="none yet",
            hint="change it by hand, or write it anew by --again and review the diff",
        )  # fmt: skip
    found = freeze_schema(path, package_of(path.parent))
    write_schema(place, found)
    typer.echo(f"{place}: {len(found.columns)} columns. Read it, and tighten it where you know more.")
