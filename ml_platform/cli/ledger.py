"""The command `ledger`: verify the hash chain and print the decisions."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ml_platform.cli.options import HomeOption
from ml_platform.cli.stores import echo_registry_faults, open_ledger
from ml_platform.contracts.errors import LedgerError, examples


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(ledger)


def ledger(
    pipeline: Annotated[str | None, typer.Argument(help="One pipeline; all of them if left out.")] = None,
    home: HomeOption = Path(".ml_platform"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, payloads included.")] = False,
) -> None:
    """Verify the ledger's hash chain and print its decisions, oldest first."""
    store = open_ledger(home)
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
        decisions = store.read(name)
        for each in decisions:
            version = f"v{each.version}" if each.version else "-"
            line = f"{each.at:%Y-%m-%d %H:%M:%S}  {name} #{each.seq:<4} {each.kind:<18} {version:<5} {each.because}"
            typer.echo(json.dumps(each.model_dump(mode="json")) if as_json else f"{line}  [{each.actor}]")
        echo_registry_faults(home, name, decisions)
