"""`python -m ml_platform.cli`, for where no script is installed."""

from ml_platform.cli import main

main()
