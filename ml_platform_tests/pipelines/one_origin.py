"""The shipped flights of one airport, as a code location that Dagster's own processes load."""

from functools import cache

import dagster as dg
import yaml

from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform_tests.pipelines.shipped import folder_of
from ml_platform_tests.pipelines.world import definitions

NAME = "flight_delays"
WHERE = "origin = 'LGA'"
WORKSPACE = f"load_from: [{{python_module: {{module_name: {__name__}, location_name: one_origin}}}}]\n"


@cache
def one_origin() -> Pipeline:
    """Give the shipped pipeline, its source cut down; everything else is as its author wrote it."""
    path = folder_of(NAME) / "defs.yaml"
    attributes = yaml.safe_load(path.read_text())["attributes"]
    attributes["source"]["where"] = WHERE
    return resolve(attributes, path, f"ml_platform.defs.{NAME}")


@dg.definitions
def defs() -> dg.Definitions:
    """Load the pipeline with the resources of the platform."""
    return definitions(one_origin())
