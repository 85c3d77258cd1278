"""Signs that a fit is not to be relied on: it stopped at once, or another seed would have given another model.

They warn and stop nothing: the gates judge the model that came out. Warnings stand in the bundle, so everything here
is a function of the rows and the recipe.
"""

from dataclasses import replace

from ml_platform.contracts.spec import LightGBMModel, Model, TreeModel, XGBoostModel
from ml_platform.training.trainer import Trained

FIRST_ROUNDS = 3  # a fit that keeps no more has hardly begun
SHARE_OF_LOSS = 0.01  # how far twins may be apart where no gate names a margin
# By kind: parameters that make a fit depend on its seed, unless they have this value.
_RANDOM_LIGHTGBM = {"feature_fraction": 1.0, "feature_fraction_bynode": 1.0, "extra_trees": False}
_RANDOM_XGBOOST = {"subsample": 1.0, "colsample_bytree": 1.0, "colsample_bylevel": 1.0, "colsample_bynode": 1.0}


def depends_on_seed(model: Model) -> bool:
    """Check whether the recipe draws at random, so that another seed gives another model."""
    params = model.params
    if isinstance(model, XGBoostModel):
        return any(params.get(name, plain) != plain for name, plain in _RANDOM_XGBOOST.items())
    if not isinstance(model, LightGBMModel):
        return False  # scikit-learn's solvers settle at one optimum, whatever the seed
    draws_rows = params.get("bagging_fraction", 1.0) < 1.0 and params.get("bagging_freq", 0) > 0
    is_sampled = params.get("boosting", "gbdt") != "gbdt" or params.get("data_sample_strategy", "bagging") != "bagging"
    return draws_rows or is_sampled or any(params.get(name, plain) != plain for name, plain in _RANDOM_LIGHTGBM.items())


def twin_of(model: Model) -> Model:
    """Return the same recipe with another seed."""
    return model.model_copy(update={"seed": model.seed + 1})


def with_warnings(trained: Trained, model: Model, twin: Trained | None, margin: float | None) -> Trained:
    """Return the tuning fit with what makes it doubtful.

    Parameters
    ----------
    twin : Trained or None
        The fit of `twin_of` the model on the same rows; None where the seed does not matter.
    margin : float or None
        By how much a loss may be worse for the gates; None where no gate says so.
    """
    warnings = [*trained.warnings]
    rounds = trained.rounds
    if isinstance(model, TreeModel) and rounds is not None and rounds <= FIRST_ROUNDS and rounds < len(trained.history):
        best = "round" if rounds == 1 else f"{rounds} rounds"
        warnings.append(f"The fit stopped in its first {best}: what it learns does not hold on the validation part.")
    if twin is not None:
        allowed, apart = SHARE_OF_LOSS * trained.loss if margin is None else margin, abs(trained.loss - twin.loss)
        if apart > allowed:
            warnings.append(
                f"Another seed gives another model: validation loss {twin.loss:.5g} in place of {trained.loss:.5g}, "
                f"further apart than the margin of {allowed:.3g}."
            )
    return replace(trained, warnings=tuple(warnings))
