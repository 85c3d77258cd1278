"""The XGBoost parameters that an author may set, with kind and bounds; see `lightgbm_params` for the idea."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

NotNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, le=1)]


@with_config(ConfigDict(extra="forbid", strict=True))
class XGBoostParams(TypedDict, total=False):
    """Parameters by XGBoost's own names.

    Notes
    -----
    Source: XGBoost 3 documentation, XGBoost Parameters, Parameters for Tree Booster.
    """

    learning_rate: Annotated[float, Field(gt=0)]
    max_depth: Annotated[int, Field(ge=0, le=64)]
    max_leaves: Annotated[int, Field(ge=0)]
    grow_policy: Literal["depthwise", "lossguide"]
    min_child_weight: NotNegative
    min_split_loss: NotNegative
    subsample: Fraction
    colsample_bytree: Fraction
    colsample_bynode: Fraction
    reg_alpha: NotNegative
    reg_lambda: NotNegative
    max_delta_step: NotNegative
    max_bin: Annotated[int, Field(ge=2)]
    max_cat_to_onehot: Annotated[int, Field(ge=1)]
    max_cat_threshold: Annotated[int, Field(ge=1)]
    nthread: Annotated[int, Field(ge=0)]
    scale_pos_weight: Annotated[float, Field(gt=0)]
