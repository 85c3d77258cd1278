"""What stands beside a member's model: the same for the same fit, and read back as it was."""

from dataclasses import replace

import numpy as np

from ml_platform.features.encoding import Encoder
from ml_platform.orchestration.member_files import member_files
from ml_platform.training.members import Member
from ml_platform.training.trainer import Trained

TRAINED = Trained(files={}, encoder=Encoder((), {}), importance={"b": 2.0, "a": 1.0}, loss=0.5, params={"a": 1, "b": 2})


def test_the_order_of_parameters_is_of_no_account() -> None:
    """A search gives them in the order of its space, a fit from `fit.json` in that of the file."""
    turned = replace(TRAINED, params={"b": 2, "a": 1})
    assert member_files(Member(turned)) == member_files(Member(TRAINED))
    assert member_files(Member(replace(TRAINED, params={"a": 1, "b": 3}))) != member_files(Member(TRAINED))


def test_out_of_fold_predictions_are_kept_only_where_there_are_some() -> None:
    assert set(member_files(Member(TRAINED))) == {"member.json"}
    assert set(member_files(Member(TRAINED, np.array([0.5])))) == {"member.json", "out_of_fold.arrow"}
