"""The command `new`: from files to the folder of a pipeline."""

from pathlib import Path
from typing import Annotated

import typer

from ml_platform.cli.options import PROJECT

DATA = "Data"
CHOICES = "Choices that are otherwise read from the data"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(new)


def new(
    name: Annotated[str, typer.Argument(help="Name of the pipeline: of its folder, its assets and its model.")],
    from_: Annotated[str, typer.Option("--from", help="CSV or Parquet files, as a glob in quotes.")],
    time: Annotated[str, typer.Option(help="Column with the moment at which a prediction is asked for.")],
    target: Annotated[str | None, typer.Option(help="Column to predict; with --target-sql the name it gets.")] = None,
    target_sql: Annotated[str | None, typer.Option(help="The target as SQL: 'tip / fare >= 0.25'.")] = None,
    where: Annotated[str | None, typer.Option(help="SQL condition on the rows that count.")] = None,
    task: Annotated[str | None, typer.Option(help="binary, multiclass or regression.", rich_help_panel=CHOICES)] = None,
    quantile: Annotated[
        float | None, typer.Option(help="Of a number: this quantile instead of the mean.", rich_help_panel=CHOICES)
    ] = None,
    key: Annotated[str | None, typer.Option(help="Columns that identify a row: a,b.", rich_help_panel=CHOICES)] = None,
    every: Annotated[str | None, typer.Option(help="day, week or month.", rich_help_panel=CHOICES)] = None,
    timezone: Annotated[str, typer.Option(help="Zone of times without one, and of midnight.")] = "UTC",
    known_after: Annotated[str | None, typer.Option(help="How long after its time a target is known: 1d.")] = None,
    known_at: Annotated[str | None, typer.Option(help="Column: when the target became known.")] = None,
    time_format: Annotated[list[str] | None, typer.Option(help="How times are written: '%d.%m.%Y %H:%M'.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Between fields of a line; a comma if left out.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of the text; utf-8 if left out.")] = None,
    columns: Annotated[str | None, typer.Option(help="Candidate features: a,b.", rich_help_panel=CHOICES)] = None,
    level: Annotated[
        int, typer.Option(help="1: a straight pipeline; 2: + validation and monitoring; 3: + search; 4, 5: later.")
    ] = 2,
    defs: Annotated[Path, typer.Option(help="Folder of the pipelines.")] = PROJECT / "ml_platform" / "defs",
    force: Annotated[bool, typer.Option("--force", help="Replace a pipeline; its text is kept as *.old.")] = False,
) -> None:
    """Write the folder of a pipeline that loads and trains as it stands, from a sample of your files."""
    from ml_platform.authoring.report import report
    from ml_platform.authoring.wanted import wanted
    from ml_platform.orchestration.new_pipeline import new_pipeline

    said = wanted(
        data=from_, time=time, target=target, target_sql=target_sql, where=where, task=task,
        quantile=quantile, key=_listed(key), every=every, timezone=timezone, known_after=known_after,
        known_at=known_at, time_formats=time_format or [],
        delimiter=delimiter, encoding=encoding, columns=_listed(columns), level=level,
    )  # fmt: skip
    made, kept = new_pipeline(name, said, defs, force=force)
    for line in report(made, _shown(defs / name)):
        typer.echo(line)
    for each in kept:
        typer.echo(f"the earlier text is kept as {_shown(defs / name / each)}")


def _listed(names: str | None) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()] if names else []


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
