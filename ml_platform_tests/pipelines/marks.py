"""Marks of tests that load Dagster: which warnings of the libraries are no fault of ours."""

import pytest

QUIET = [
    pytest.mark.filterwarnings(line)
    for line in (
        # Dagster says of a public name that it may still change; the lock file pins the version we tested.
        "ignore:.* is currently in (beta|preview)",
        # Dagster calls its own deprecated properties when dagster-mlflow's resource is set up.
        r"ignore:InitResourceContext\.(run_id|dagster_run) is deprecated:DeprecationWarning",
        # Dagster reads YAML through an old function of pydantic.
        "ignore:`parse_obj_as` is deprecated",
        # MLflow's own types, while it is imported.
        "ignore:.*Any type hint is inferred as AnyType:UserWarning",
        # MLflow's own tables, under SQLAlchemy 2.1.
        "ignore:The ``noload`` loader strategy is deprecated",
    )
]
DAGSTER = [pytest.mark.dagster, *QUIET]
