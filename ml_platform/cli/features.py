"""The command `features`: the feature catalogue of one pipeline or of all of them."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ml_platform.contracts.errors import SpecError, examples


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(features)


def features(
    pipeline: Annotated[str | None, typer.Argument(help="One pipeline; all of them if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List features: name, type, what they are made of, description, and the models that take them."""
    from rich.console import Console
    from rich.table import Table

    from ml_platform import defs
    from ml_platform.orchestration.catalogue import Feature, feature_catalogue, load_pipelines

    pipelines = load_pipelines(Path(defs.__path__[0]), defs.__name__)
    if pipeline not in (None, *pipelines):
        expected = examples(pipelines) or "none is defined yet"
        raise SpecError.because("pipeline", got=pipeline, expected=expected, hint="see ml_platform/defs")
    for name in [pipeline] if pipeline else pipelines:
        found = feature_catalogue(pipelines[name])
        if as_json:
            for feature in found:
                typer.echo(json.dumps({"pipeline": name, **feature.to_json()}))
            continue
        table = Table(*Feature.__dataclass_fields__, title=name, title_justify="left")
        for feature in found:
            table.add_row(*feature.to_json().values())
        Console().print(table)
