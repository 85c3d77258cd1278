"""The LightGBM parameters that an author may set, with kind and bounds, so that a wrong one is found before any fit.

Add one here when it is worth setting. What the spec or the trainer decides is kept out, and so are aliases: one name
for each thing. LightGBM itself is not imported: it is heavy, and definitions load often.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=0)]
CountFromOne = Annotated[int, Field(ge=1)]


@with_config(ConfigDict(extra="forbid", strict=True))
class LightGBMParams(TypedDict, total=False):
    """Parameters by LightGBM's own names; `dart` is left out of `boosting`, as it cannot stop early.

    Notes
    -----
    Source: LightGBM 4 documentation, Parameters, section by section below.
    """

    # Core parameters
    boosting: Literal["gbdt", "rf"]
    data_sample_strategy: Literal["bagging", "goss"]
    learning_rate: Positive
    num_leaves: Annotated[int, Field(ge=2, le=131_072)]
    num_threads: Count
    # Learning control parameters
    max_depth: int
    min_data_in_leaf: Count
    min_sum_hessian_in_leaf: NotNegative
    bagging_fraction: Fraction
    pos_bagging_fraction: Fraction
    neg_bagging_fraction: Fraction
    bagging_freq: Count
    feature_fraction: Fraction
    feature_fraction_bynode: Fraction
    extra_trees: bool
    max_delta_step: float
    lambda_l1: NotNegative
    lambda_l2: NotNegative
    linear_lambda: NotNegative
    min_gain_to_split: NotNegative
    top_rate: Share
    other_rate: Share
    min_data_per_group: CountFromOne
    max_cat_threshold: CountFromOne
    cat_l2: NotNegative
    cat_smooth: NotNegative
    max_cat_to_onehot: CountFromOne
    path_smooth: NotNegative
    # Dataset parameters
    linear_tree: bool
    max_bin: Annotated[int, Field(ge=2)]
    min_data_in_bin: CountFromOne
    # Objective parameters
    is_unbalance: bool
    scale_pos_weight: Positive


BINARY_ONLY = ("is_unbalance", "scale_pos_weight", "pos_bagging_fraction", "neg_bagging_fraction")

_ELSEWHERE = {
    "set rounds beside params": "num_iterations num_iteration n_iter num_tree num_trees num_round num_rounds nrounds "
    "num_boost_round n_estimators max_iter",
    "set patience beside params": "early_stopping_round early_stopping_rounds early_stopping n_iter_no_change",
    "set seed beside params": "seed random_seed random_state",
    "it follows from label.task": "objective objective_type app application loss",
    "the trainer sets it: take it out": "metric metrics metric_types deterministic force_row_wise force_col_wise "
    "verbosity verbose early_stopping_min_delta",
}
SET_ELSEWHERE = {name: hint for hint, names in _ELSEWHERE.items() for name in names.split()}
