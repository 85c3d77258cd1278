"""The pipeline spec: what an author writes in `defs.yaml`, checked as far as the text alone allows.

Put a field here when an author should decide it. What needs the author's Python (does this column exist?) is checked in
`ml_platform.orchestration.resolution`, which knows how to import it.
"""

from ml_platform.contracts.spec.features import Features, Lookup, RowsWindow, WindowFeature
from ml_platform.contracts.spec.models import Gate, LightGBMModel, Monitoring, Retrain, Serving
from ml_platform.contracts.spec.partitions import Label, Partitions, Split
from ml_platform.contracts.spec.pipeline import STAGES, TABLES, PipelineSpec
from ml_platform.contracts.spec.sources import FilesSource, PythonSource, Quality, Source, SqlSource, ValueRange

__all__ = [
    "STAGES",
    "TABLES",
    "Features",
    "FilesSource",
    "Gate",
    "Label",
    "LightGBMModel",
    "Lookup",
    "Monitoring",
    "Partitions",
    "PipelineSpec",
    "PythonSource",
    "Quality",
    "Retrain",
    "RowsWindow",
    "Serving",
    "Source",
    "Split",
    "SqlSource",
    "ValueRange",
    "WindowFeature",
]
