"""The tiny pipeline as a code location that Dagster's own processes load."""

import dagster as dg

from ml_platform_tests.pipelines.world import definitions

LOCATION = "own_tiny"
WORKSPACE = f"load_from: [{{python_module: {{module_name: {__name__}, location_name: {LOCATION}}}}}]\n"


@dg.definitions
def defs() -> dg.Definitions:
    """Load the pipeline with the resources of the platform."""
    return definitions()
