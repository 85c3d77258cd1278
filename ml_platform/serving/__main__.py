"""`python -m ml_platform.serving`: the model server as a process.

A process's entry point, like the CLI, so it reads the environment: a child inherits `$ML_PLATFORM_LEDGER`, and a URL
that may hold a password stands on no command line.
"""

import argparse
import os
from pathlib import Path

from ml_platform.contracts.home import Home
from ml_platform.serving.server import serve


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m ml_platform.serving", description="Serve the champions of a home.")
    parser.add_argument("--home", type=Path, required=True, help="folder of the installation")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument(
        "--ledger-url",
        default=os.environ.get("ML_PLATFORM_LEDGER"),
        help="SQLAlchemy URL, $ML_PLATFORM_LEDGER or else the home's own ledger if left out",
    )
    asked = parser.parse_args()
    serve(Home(asked.home.absolute()), asked.host, asked.port, asked.ledger_url)


if __name__ == "__main__":
    main()
