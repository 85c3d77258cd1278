"""The code location: every pipeline below `ml_platform.defs`, with the resources of the platform."""

from pathlib import Path

import dagster as dg

from ml_platform.orchestration.housekeeping import housekeeping_sensors
from ml_platform.orchestration.resources import platform_resources


@dg.definitions
def defs() -> dg.Definitions:
    """Load the pipelines; steps run in one process, which is fastest on one machine."""
    pipelines = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    platform = dg.Definitions(
        resources=platform_resources(), sensors=housekeeping_sensors(), executor=dg.in_process_executor
    )
    return dg.Definitions.merge(pipelines, platform)
