"""The only room that knows Dagster: the component, assets, checks, jobs, schedules, sensors and resources."""

from ml_platform.orchestration.component import MLPipeline

__all__ = ["MLPipeline"]
