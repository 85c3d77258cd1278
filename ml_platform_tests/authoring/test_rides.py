"""What `new` decides on made-up rides: columns that give the tip away, gaps, and names that no table can hold."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ml_platform.contracts.errors import SpecError
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.rides import new_rides, rides

pytestmark = DAGSTER

FARE, TIP, KM = pl.col("fare"), pl.col("tip"), pl.col("distance_km")
RIDES = rides()
TOLL = pl.Series("toll", np.random.default_rng(5).choice([0.0, 1.5, 5.54], len(RIDES)))
LEAKS: dict[str, tuple[dict[str, pl.Expr | pl.Series], dict[str, str], set[str]]] = {
    "a total": ({"total": (FARE + TIP).round(2)}, {"total": "tip = total - fare"}, set()),
    "a total with a toll": (
        {"toll": TOLL, "total": (FARE + TIP + TOLL).round(2)},
        {"total": "tip = total - toll - fare"},
        {"toll"},
    ),
    "a total after tax": ({"total": (1.1 * (FARE + TIP)).round(2)}, {"total": "tip = 0.909 * total - fare"}, set()),
    "a percentage of another base": (
        {"percent": (100 * TIP / KM).round(3)},
        {"percent": "tip = 0.01 * distance_km * percent", "distance_km": "tip = 0.01 * distance_km * percent"},
        set(),
    ),
    "cash and card": (
        {"tip_cash": (TIP / 3).floor(), "tip_card": (TIP - (TIP / 3).floor()).round(2)},
        {"tip_cash": "tip = tip_cash + tip_card", "tip_card": "tip = tip_cash + tip_card"},
        set(),
    ),
}


@pytest.mark.parametrize("case", LEAKS)
def test_columns_that_make_the_tip_are_left_out_with_their_equation(case: str, tmp_path: Path) -> None:
    """In the report and in the YAML."""
    more, reasons, kept = LEAKS[case]
    made = new_rides(tmp_path, RIDES.with_columns(**more))
    left_out = {each.column: each.reason for each in made.left_out}
    assert {name: left_out.get(name) for name in reasons} == {
        name: f"it would give the target away: {equation}" for name, equation in reasons.items()
    }
    for name, equation in reasons.items():
        assert f"    # - {name}: it would give the target away: {equation}" in made.text
    assert kept <= {*made.features.kept}
    assert {"zone", "payment", "passengers"} <= {*made.features.kept}


def test_a_count_without_its_summands(tmp_path: Path) -> None:
    """Each alone would tell much of it."""
    rng = np.random.default_rng(3)
    casual, registered = (pl.Series(rng.poisson(rate, len(RIDES))) for rate in (3, 9))
    rows = RIDES.drop("tip").with_columns(casual=casual, registered=registered, riders=casual + registered)
    made = new_rides(tmp_path, rows, target="riders", task="regression")
    left_out = {each.column: each.reason for each in made.left_out}
    assert {"casual", "registered"} <= left_out.keys()
    assert "riders = " in left_out["casual"]
    assert "distance_km" in made.features.kept


def test_a_tariff_is_kept_and_shown(tmp_path: Path) -> None:
    """The fare is a column of the target, but tells little of it: whoever knows decides."""
    made = new_rides(tmp_path, RIDES.with_columns(fare=(3.5 + 2.1 * KM).round(2)))
    assert "distance_km" in made.features.kept
    [note] = made.features.doubtful
    assert (note.column, note.reason.split(",")[0]) == ("distance_km", "fare = 2.1 * distance_km + 3.5")
    assert "    # Look at:\n    # - distance_km: fare = 2.1 * distance_km + 3.5, of which" in made.text


def test_honest_rides_lose_nothing(tmp_path: Path) -> None:
    made = new_rides(tmp_path, RIDES)
    assert made.features.kept == ("zone", "payment", "passengers", "distance_km")
    assert made.features.doubtful == ()


def test_columns_with_gaps_are_left_out(tmp_path: Path) -> None:
    place = pl.int_range(pl.len())
    late, ended, bare = (pl.when(rule).then("passengers") for rule in (place > 2400, place < 2000, place % 97 == 0))
    made = new_rides(tmp_path, RIDES.with_columns(late=late, ended=ended, bare=bare))
    reasons = {each.column: each.reason.split(":")[0] for each in made.left_out}
    assert {name: reasons.get(name) for name in ("late", "ended", "bare")} == {
        "late": "it begins late", "ended": "it has ended", "bare": "it is nearly empty",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "other"), [("Zone", "zone"), ("TIP", "tip"), ("Partition", "partition"), ("TARGET", "target")]
)
def test_names_that_differ_in_capital_letters_alone_are_refused(name: str, other: str, tmp_path: Path) -> None:
    """Among the files' columns, with the target's and the platform's."""
    with pytest.raises(SpecError, match=rf"the files: got columns {other} and {name}, expected names that differ"):
        new_rides(tmp_path, RIDES.with_columns(pl.lit(1).alias(name)))
    assert not (tmp_path / "defs").exists()


def test_a_name_of_the_platform_is_no_feature_however_it_is_written(tmp_path: Path) -> None:
    made = new_rides(tmp_path, RIDES.with_columns(Day=pl.lit(1) + pl.int_range(pl.len()) % 7, Hour=KM.round()))
    assert "Day" not in made.features.kept
    assert "Hour" in made.features.kept
    assert "picked_up_at_hour" in made.derived
