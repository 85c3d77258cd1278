"""The tiny pipeline's homes and worlds."""

from ml_platform_tests.pipelines.fixtures import loaded, loaded_home, stacked, stacked_home, trained_home, world

__all__ = ["loaded", "loaded_home", "stacked", "stacked_home", "trained_home", "world"]
