"""The commands `approve` and `reject`: a person lets a version serve that passed its gates, or never."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml_platform.cli.options import PROJECT, HomeOption, package_of
from ml_platform.contracts.home import Home

if TYPE_CHECKING:
    from ml_platform.contracts.records import ModelVersion
    from ml_platform.ledger.store import SqlLedger

PipelineArgument = Annotated[str, typer.Argument(help="A pipeline.")]
VersionArgument = Annotated[int, typer.Argument(help="Number of the version.", min=1)]
ByOption = Annotated[str, typer.Option(help="Who you are. It is written down as given: nothing checks that it is you.")]
BecauseOption = Annotated[str, typer.Option(help="Why, in a sentence for those who read the ledger later.")]
DigestOption = Annotated[
    str, typer.Option(help="What the version's digest begins with; refused if it is another model.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(approve)
    app.command()(reject)


def approve(
    pipeline: PipelineArgument,
    version: VersionArgument,
    by: ByOption,
    because: BecauseOption,
    digest: DigestOption = "",
    home: HomeOption = Path(".ml_platform"),
    defs: Annotated[Path, typer.Option(help="Folder of the pipelines.")] = PROJECT / "ml_platform" / "defs",
) -> None:
    """Let a version serve that passed its gates and waits for a person (approval: manual)."""
    from ml_platform.deployment import approving
    from ml_platform.orchestration.demands import demands, own_metrics
    from ml_platform.orchestration.freezing import find_pipeline, read_spec

    path = find_pipeline(defs.absolute(), pipeline)
    spec = read_spec(path)
    ledger, asked = _opened(pipeline, version, digest, home)
    gates = demands(spec, own_metrics(spec, package_of(path.parent)))
    said = approving.approve(asked, ledger=ledger, gates=gates, approval=spec.approval, by=by, because=because)
    typer.echo(f"{pipeline} v{version} approved by {said.by}, until {said.expires_at:%Y-%m-%d %H:%M} UTC.")
    typer.echo(
        f"The sensor {pipeline}_approval promotes it; or materialize {pipeline}/endpoint with version {version}."
    )


def reject(
    pipeline: PipelineArgument,
    version: VersionArgument,
    by: ByOption,
    because: BecauseOption,
    digest: DigestOption = "",
    home: HomeOption = Path(".ml_platform"),
) -> None:
    """Keep a version from serving, for good; also one that needs no approval, or that served before."""
    from ml_platform.deployment import approving

    ledger, asked = _opened(pipeline, version, digest, home)
    said = approving.reject(asked, ledger=ledger, by=by, because=because)
    typer.echo(f"{pipeline} v{version} rejected by {said.by}. It will not serve.")


def _opened(pipeline: str, version: int, digest: str, home: Path) -> "tuple[SqlLedger, ModelVersion]":
    from ml_platform.deployment.approving import evaluated_version
    from ml_platform.ledger.store import SqlLedger

    ledger = SqlLedger(os.environ.get("ML_PLATFORM_LEDGER") or Home(home.absolute()).ledger_url)
    return ledger, evaluated_version(ledger, pipeline, version, digest)
