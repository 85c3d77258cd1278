"""The command line `ml-platform`: run everything, serve, read the ledger, see the demo."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ml_platform.contracts.errors import LedgerError, PlatformError, examples
from ml_platform.contracts.home import Home

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="ML_PLATFORM_HOME", help="Folder of the installation.", show_default=True)
]
PROJECT = Path(__file__).parents[1]


def main() -> None:
    """Run a command; what the platform refuses is told in one message, without a traceback."""
    try:
        app()
    except PlatformError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        raise SystemExit(1) from None


@app.command()
def up(
    home: HomeOption = Path(".ml_platform"),
    dagster_port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000,
    mlflow_port: Annotated[int, typer.Option(help="Port of the MLflow UI.")] = 5000,
    serving_port: Annotated[int, typer.Option(help="Port of the model server.")] = 8400,
) -> None:
    """Run the Dagster UI and daemon, the MLflow UI and the model server until Ctrl-C."""
    from ml_platform.deployment.services import platform_services, prepare_dagster_home
    from ml_platform.deployment.supervisor import supervise

    place = Home(home.absolute())
    prepare_dagster_home(place, PROJECT)
    _end_dead_runs(place)
    services = platform_services(
        place, dagster_port=dagster_port, mlflow_port=mlflow_port, serving_port=serving_port, project=PROJECT
    )
    raise typer.Exit(supervise(services, place.logs, typer.echo))


@app.command()
def serve(
    home: HomeOption = Path(".ml_platform"),
    host: Annotated[str, typer.Option(help="Address to bind; loopback unless you mean otherwise.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8400,
) -> None:
    """Serve the champions: Open Inference Protocol v2, POST /predict/PIPELINE, /schema, /metrics."""
    from ml_platform.serving.server import serve as serve_until_stopped

    serve_until_stopped(Home(home.absolute()), host, port, os.environ.get("ML_PLATFORM_LEDGER"))


@app.command()
def ledger(
    pipeline: Annotated[str | None, typer.Argument(help="One pipeline; all of them if left out.")] = None,
    home: HomeOption = Path(".ml_platform"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, payloads included.")] = False,
) -> None:
    """Verify the ledger's hash chain and print its decisions, oldest first."""
    from ml_platform.ledger.store import SqlLedger

    store = SqlLedger(os.environ.get("ML_PLATFORM_LEDGER") or Home(home.absolute()).ledger_url)
    known = store.pipelines()
    if pipeline not in (None, *known):
        raise LedgerError.because(
            "pipeline",
            got=pipeline,
            expected=examples(known) or "none has decisions yet",
            hint="check the name and --home",
        )
    for name in [pipeline] if pipeline else known:
        store.verify(name)
        for each in store.read(name):
            version = f"v{each.version}" if each.version else "-"
            line = f"{each.at:%Y-%m-%d %H:%M:%S}  {name} #{each.seq:<4} {each.kind:<18} {version:<5} {each.because}"
            typer.echo(json.dumps(each.model_dump(mode="json")) if as_json else f"{line}  [{each.actor}]")


@app.command()
def demo(
    home: Annotated[Path, typer.Option(help="Folder for the demo; an earlier demo there is removed.")] = Path(".demo"),
) -> None:
    """Run the whole loop on the flights of 2013: from raw data to a served model, to drift, retrain and promotion."""
    from ml_platform.demo.story import run_demo

    run_demo(Home(home.absolute()), PROJECT)


def _end_dead_runs(home: Home) -> None:
    import dagster as dg

    from ml_platform.orchestration.dead_runs import end_dead_runs

    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        for run_id in end_dead_runs(instance):
            typer.echo(f"run {run_id} had died with an earlier session; it is marked as failed")


if __name__ == "__main__":
    main()
