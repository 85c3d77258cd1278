"""The gate against the champion on real flights of spring: of what is worse by exactly its margin it promotes few."""

import numpy as np
import pytest

from benchmarks.day_gates import World, load_world, promoted, spoils

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DAYS, DRAWS = 14, 400


@pytest.fixture(scope="module")
def world() -> World:
    """Give the flights of March to May, with what a model of the month says of them."""
    return load_world(last="2013-05-01")


@pytest.mark.parametrize("way", ["noise on each row", "noise on each day", "too high", "too low"])
def test_what_is_worse_by_exactly_the_margin_is_seldom_promoted(world: World, way: str) -> None:
    """The rows of one day stay together; where days differ an interval over rows alone is far too narrow."""
    candidate = world.worse_by_the_margin(spoils(world, np.random.default_rng(0))[way])
    share, over_rows = promoted(world, candidate, DAYS, DRAWS)
    assert share <= 0.05
    assert over_rows < 0.1 if way == "noise on each row" else over_rows > 0.3
