"""The pipeline spec: what an author writes in `defs.yaml`, checked as far as the text alone allows.

Put a field here when an author should decide it. What needs the author's Python (does this column exist?) is checked in
`ml_platform.orchestration.resolution`, which knows how to import it.
"""

from ml_platform.contracts.spec.features import Features, Lookup, RowsWindow, WindowFeature
from ml_platform.contracts.spec.fit import Fit
from ml_platform.contracts.spec.gates import (
    AnyGate,
    Costs,
    Decide,
    Gate,
    OwnMetric,
    PlausibleGate,
    ServedFitGate,
    ServedGate,
)
from ml_platform.contracts.spec.models import (
    Approval,
    Choices,
    Distributed,
    Ensemble,
    LightGBMModel,
    LinearModel,
    Model,
    Range,
    Search,
    Training,
    TreeModel,
    XGBoostModel,
    member_stage,
)
from ml_platform.contracts.spec.partitions import Label, Partitions, Split
from ml_platform.contracts.spec.pipeline import STAGES, TABLES, PipelineSpec
from ml_platform.contracts.spec.sources import FilesSource, PythonSource, Quality, Source, SqlSource, ValueRange
from ml_platform.contracts.spec.watching import Monitoring, Retrain, Serving

__all__ = [
    "STAGES",
    "TABLES",
    "AnyGate",
    "Approval",
    "Choices",
    "Costs",
    "Decide",
    "Distributed",
    "Ensemble",
    "Features",
    "FilesSource",
    "Fit",
    "Gate",
    "Label",
    "LightGBMModel",
    "LinearModel",
    "Lookup",
    "Model",
    "Monitoring",
    "OwnMetric",
    "Partitions",
    "PipelineSpec",
    "PlausibleGate",
    "PythonSource",
    "Quality",
    "Range",
    "Retrain",
    "RowsWindow",
    "Search",
    "ServedFitGate",
    "ServedGate",
    "Serving",
    "Source",
    "Split",
    "SqlSource",
    "Training",
    "TreeModel",
    "ValueRange",
    "WindowFeature",
    "XGBoostModel",
    "member_stage",
]
