"""Marks of tests that start clusters: which warnings of the libraries are no fault of ours."""

import pytest

RAY_QUIET: list[pytest.MarkDecorator] = []
