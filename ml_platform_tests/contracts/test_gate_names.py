"""Short names of gates: of the author's, or made of the condition; distinct, whatever the order."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ml_platform.contracts.spec import AnyGate
from ml_platform.contracts.spec.gates import with_distinct_names

GATES: TypeAdapter[list[Any]] = TypeAdapter(list[AnyGate])
CHAMPION = {"metric": "log_loss", "versus": "champion", "worse_by_at_most": 0.01}
POOL: list[dict[str, Any]] = [
    CHAMPION,
    CHAMPION | {"confidence": 0.95},
    CHAMPION | {"confidence": 0.95, "newest": "3d"},
    CHAMPION | {"newest": "5d"},
    CHAMPION | {"per": ["carrier"]},
    CHAMPION | {"metric": "brier"},
    CHAMPION | {"rows_at_least": 900},
    {"metric": "log_loss", "versus": "champion", "better_by": 0.1},
    {"metric": "log_loss", "versus": "baseline", "better_by": 0},
    {"metric": "roc_auc", "versus": "baseline", "better_by": 0.02},
    {"metric": "log_loss", "at_most": 0.65},
    {"metric": "log_loss", "at_most": 0.65, "confidence": 0.9},
    {"kind": "served", "p95_ms": 20},
    {"kind": "served", "p95_ms": 30},
    {"kind": "plausible", "metric": "roc_auc"},
    {"kind": "plausible", "metric": "log_loss"},
]


def _named(*gates: dict[str, Any]) -> list[str]:
    return [gate.name for gate in with_distinct_names(GATES.validate_python(list(gates)))]


@pytest.mark.parametrize(
    ("gate", "name"),
    [
        ({"metric": "log_loss", "versus": "champion", "better_by": 0, "newest": "3d"}, "beats_champion_newest"),
        (CHAMPION | {"confidence": 0.95}, "not_worse_than_champion"),
        (CHAMPION | {"per": ["carrier", "origin"]}, "not_worse_than_champion_per_carrier_origin"),
        ({"metric": "roc_auc", "versus": "baseline", "better_by": 0.02, "confidence": 0.95}, "beats_baselines"),
        ({"metric": "log_loss", "at_most": 0.65, "confidence": 0.9}, "log_loss_at_most_0_65"),
        ({"kind": "served", "p95_ms": 20, "memory_mb": 500}, "served_as_offline"),
        ({"kind": "plausible", "metric": "roc_auc"}, "not_too_good_to_be_true"),
        (CHAMPION | {"name": "as_good_as_before"}, "as_good_as_before"),
    ],
)
def test_a_name_is_a_short_statement(gate: dict[str, Any], name: str) -> None:
    assert _named(gate) == [name]


def test_gates_that_share_a_short_name_are_told_apart_by_their_metric_first() -> None:
    assert _named(CHAMPION, CHAMPION | {"metric": "brier"}) == [
        "log_loss_not_worse_than_champion",
        "brier_not_worse_than_champion",
    ]
    assert _named(CHAMPION | {"newest": "3d"}, CHAMPION | {"newest": "5d"}) == [
        "log_loss_not_worse_than_champion_on_the_newest_3d",
        "log_loss_not_worse_than_champion_on_the_newest_5d",
    ]


@given(st.lists(st.sampled_from(POOL), min_size=1, max_size=4, unique_by=str))
def test_names_are_distinct_and_do_not_depend_on_the_order(gates: list[dict[str, Any]]) -> None:
    names = dict(zip(map(str, gates), _named(*gates), strict=True))
    assert len(set(names.values())) == len(gates)
    for order in permutations(gates):
        assert _named(*order) == [names[str(gate)] for gate in order]


@pytest.mark.parametrize(
    "gates",
    [
        [CHAMPION | {"name": "good"}, POOL[8] | {"name": "good"}],
        [CHAMPION, CHAMPION | {"worse_by_at_most": 0.5}],
        [CHAMPION | {"name": "one"}, CHAMPION | {"name": "other"}],
    ],
    ids=["one name", "one condition", "one condition under two names"],
)
def test_two_gates_of_one_name_or_condition_are_refused(gates: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="expected distinct gates"):
        _named(*gates)


def test_a_name_of_the_author_is_not_given_to_another_gate() -> None:
    assert _named(POOL[8] | {"name": "not_worse_than_champion"}, CHAMPION) == [
        "not_worse_than_champion",
        "log_loss_not_worse_than_champion",
    ]


@pytest.mark.parametrize("name", ["", "Beats", "beats champion", "1st", "a-b"])
def test_a_name_is_one_of_an_asset_check(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        GATES.validate_python([CHAMPION | {"name": name}])
