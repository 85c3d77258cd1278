"""The command `reproduce`: fit a registered version again and say whether it comes out the same, and if not, where."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml_platform.cli.options import PROJECT, HomeOption, package_of
from ml_platform.cli.stores import open_lake, open_ledger, open_models

if TYPE_CHECKING:
    from ml_platform.contracts.records import Certificate, Difference

SHOWN = 20


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(reproduce)


def reproduce(
    pipeline: Annotated[str, typer.Argument(help="A pipeline, or `pipeline.member` of an ensemble.")],
    version: Annotated[int, typer.Argument(help="Number of a registered version.")],
    home: HomeOption = Path(".ml_platform"),
    as_json: Annotated[bool, typer.Option("--json", help="The certificate as JSON.")] = False,
    defs: Annotated[Path, typer.Option(help="Folder of the pipelines.")] = PROJECT / "ml_platform" / "defs",
) -> None:
    """Fit a version again from its data and parameters in a clean process; exit code 0 if it comes out the same."""
    from ml_platform.orchestration.candidates import named_version
    from ml_platform.orchestration.freezing import find_pipeline
    from ml_platform.orchestration.members import owner_of
    from ml_platform.orchestration.reproducing import reproduce as fit_again

    path = find_pipeline(defs.absolute(), owner_of(pipeline)[0])
    models = open_models(home)
    asked = named_version(models, open_ledger(home).read(pipeline), pipeline, version)
    certificate = fit_again(path, package_of(path.parent), asked, open_lake(home), models)
    if as_json:
        typer.echo(certificate.model_dump_json())
    else:
        _show(certificate)
    raise typer.Exit(0 if certificate.is_equal else 1)


def _show(certificate: "Certificate") -> None:
    from rich.console import Console

    console = Console()
    said = "comes out the same, to the last bit" if certificate.is_equal else "DIFFERS"
    console.print(f"{certificate.pipeline} v{certificate.version}, as of {certificate.as_of}: {said}", highlight=False)
    tables = ", ".join(f"{each.table} v{each.version}" for each in certificate.tables)
    console.print(f"from {tables}", highlight=False)
    console.print(
        f"predictions for {certificate.rows} rows of the holdout differ by at most {certificate.largest_difference:g}",
        highlight=False,
    )
    for title, found in (("Came out differently", certificate.broken), ("Changed since the fit", certificate.changed)):
        if found:
            console.print(_table(title, found))


def _table(title: str, differences: "Sequence[Difference]") -> object:
    from rich.table import Table

    table = Table("what", "name", "then", "now", title=title, title_justify="left")
    for each in differences[:SHOWN]:
        table.add_row(each.kind, each.name, each.then or "-", each.now or "-")
    if (more := len(differences) - SHOWN) > 0:
        table.add_row("", f"and {more} more", "", "")
    return table
