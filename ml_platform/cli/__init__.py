"""The command line `ml-platform`: make a pipeline, run everything, serve, approve, read the ledger, see the demo."""

import sys

import typer

from ml_platform.cli import approval, authoring, data, features, ledger, reproducing, running, schema, versions
from ml_platform.contracts.errors import PlatformError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
authoring.add_to(app)
running.add_to(app)
ledger.add_to(app)
approval.add_to(app)
versions.add_to(app)
schema.add_to(app)
features.add_to(app)
data.add_to(app)
reproducing.add_to(app)


def main() -> None:
    """Run a command; what the platform refuses is printed as one message and its notes, without a traceback."""
    try:
        app()
    except PlatformError as error:
        sys.stderr.write("\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])]) + "\n")
        raise SystemExit(1) from None
