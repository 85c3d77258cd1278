"""What a fit was asked for: of the spec what a model depends on, and the models as they were trained after a search."""

from typing import Any

from ml_platform.contracts.spec.models import Ensemble, Model, ModelName
from ml_platform.contracts.spec.parts import SpecPart


class Fit(SpecPart):
    """What a version was fitted with, kept in its bundle so that the fit can be done again.

    `models` have every parameter resolved and search no more; `spec` is what the model depends on of the pipeline, as
    JSON has it (in older bundles the whole); `notes` are sentences on how the parameters came about, `told` are
    those of the fit on itself, and `warnings` say what makes it doubtful.
    """

    models: dict[ModelName, Model]
    ensemble: Ensemble | None
    notes: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    spec: dict[str, Any]
