"""Commands that run the platform: `up`, `serve`, `demo`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ml_platform.cli.options import PROJECT, HomeOption
from ml_platform.contracts.home import Home


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (up, serve, demo):
        app.command()(command)


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


def serve(
    home: HomeOption = Path(".ml_platform"),
    host: Annotated[str, typer.Option(help="Address to bind; loopback unless you mean otherwise.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8400,
) -> None:
    """Serve the champions: Open Inference Protocol v2, POST /predict/PIPELINE, /schema, /metrics."""
    from ml_platform.serving.server import serve as serve_until_stopped

    serve_until_stopped(Home(home.absolute()), host, port, os.environ.get("ML_PLATFORM_LEDGER"))


def demo(
    home: Annotated[Path, typer.Option(help="Folder for the demo; an earlier demo there is removed.")] = Path(".demo"),
    wait_at_most: Annotated[float, typer.Option(min=0.01, help="Minutes to wait for the retrain while it runs.")] = 120,
) -> None:
    """Run the whole loop on the flights of 2013: from raw data to a served model, to drift, retrain and promotion."""
    from ml_platform.demo.story import run_demo
    from ml_platform.demo.waiting import Patience

    seconds = 60 * wait_at_most
    patience = Patience(request_s=max(Patience.request_s, seconds / 8), run_s=seconds)
    run_demo(Home(home.absolute()), PROJECT, patience)


def _end_dead_runs(home: Home) -> None:
    import dagster as dg

    from ml_platform.orchestration.dead_runs import end_dead_runs

    os.environ["DAGSTER_HOME"] = str(home.dagster)  # dagster.yaml names its folder by it
    with dg.DagsterInstance.get() as instance:
        for run_id in end_dead_runs(instance):
            typer.echo(f"run {run_id} had died with an earlier session; it is marked as failed")
