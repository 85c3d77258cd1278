"""What a new pipeline takes from a sample: features, key, target."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from ml_platform.authoring.clock import clock_features
from ml_platform.authoring.features import choose_features
from ml_platform.authoring.key import REPEATED_AT_MOST, choose_key
from ml_platform.authoring.target import KNOWN_AT_LEAST, OF_EACH_AT_LEAST, require_target
from ml_platform.contracts.errors import NotEnoughRows, SpecError

ROWS = 1000
START = datetime(2024, 1, 1, tzinfo=UTC)
TIMES = [START + timedelta(minutes=row * 7 // 2 * 2) for row in range(ROWS)]
SAMPLE = pl.DataFrame(
    {
        "number": [row * 13 for row in range(ROWS)],
        "at": TIMES,
        "ride_id": [f"r{row}" for row in range(ROWS)],
        "line": [f"u{row % 7}" for row in range(ROWS)],
        "cents": [(row * 7919) % 100_003 for row in range(ROWS)],
        "weight": [(row * 31 % 97) / 7 for row in range(ROWS)],
        "comment": [f"It was {'very ' * 12}late, said guest {row % 300}" for row in range(ROWS)],
        "country": ["DE"] * ROWS,
        "gone": pl.Series([None] * ROWS, dtype=pl.Float64),
        "arrived_at": [at + timedelta(minutes=row % 50) for row, at in enumerate(TIMES)],
        "is_late": [row * row % 11 < 4 for row in range(ROWS)],
        "verdict": ["late" if row * row % 11 < 4 else "fine" for row in range(ROWS)],
    }
)
SPOKEN_FOR = {"is_late": "the target", "at": "the time of the prediction"}


def test_each_column_left_out_has_its_reason() -> None:
    chosen = choose_features(SAMPLE, "is_late", "binary", "at", SPOKEN_FOR, [])
    assert chosen.kept == ("line", "cents", "weight")
    reasons = {each.column: each.reason for each in chosen.left_out}
    assert {name: reason.split(":")[0].split(";")[0] for name, reason in reasons.items()} == {
        "number": "an identifier",
        "at": "the time of the prediction",
        "ride_id": "an identifier",
        "comment": "text",
        "country": "it is always DE",
        "gone": "it is empty",
        "arrived_at": "another time",
        "is_late": "the target",
        "verdict": "it would give the target away",
    }


def test_the_authors_columns_are_taken_or_refused_by_name() -> None:
    assert choose_features(SAMPLE, "is_late", "binary", "at", SPOKEN_FOR, ["weight"]).kept == ("weight",)
    with pytest.raises(SpecError, match=r"--columns: got verdict \(it would give the target away.*Hint: take them out"):
        choose_features(SAMPLE, "is_late", "binary", "at", SPOKEN_FOR, ["weight", "verdict"])


def test_a_sample_without_features_is_refused() -> None:
    with pytest.raises(SpecError, match=r"features: got country \(it is always DE\).* at least one column to learn"):
        choose_features(SAMPLE.select("country", "is_late", "at"), "is_late", "binary", "at", SPOKEN_FOR, [])


def test_the_key_is_the_unique_column_that_calls_itself_one() -> None:
    assert choose_key(SAMPLE, "at", "is_late", []).columns == ("ride_id",)
    assert choose_key(SAMPLE.drop("ride_id"), "at", "is_late", []).columns == ("number",)


def test_the_key_is_the_fewest_columns_beside_the_time() -> None:
    """Two rides of one line may begin at one moment, of one line and direction they do not."""
    rows = SAMPLE.select("at", line=pl.lit("u1"), way=pl.Series([f"w{row % 2}" for row in range(ROWS)]))
    rows = rows.with_columns(
        pl.col("at").dt.truncate("20m"), seat=pl.int_range(pl.len()).over(pl.col("at").dt.truncate("20m"), "way")
    )
    assert choose_key(rows, "at", "is_late", []).columns == ("way", "seat", "at")
    with pytest.raises(SpecError, match=r"--key: got no column, .* Hint: name them, --key a,b"):
        choose_key(rows.drop("seat"), "at", "is_late", [])


@pytest.mark.parametrize(
    ("twice", "is_key"), [(int(ROWS * REPEATED_AT_MOST) - 1, True), (int(ROWS * REPEATED_AT_MOST) + 1, False)]
)
def test_a_key_may_be_repeated_by_a_few_rows(twice: int, is_key: bool) -> None:
    rows = pl.concat([SAMPLE.head(ROWS - twice), SAMPLE.head(twice)])
    if is_key:
        assert choose_key(rows, "at", "is_late", ["ride_id"]).repeated == twice
    else:
        with pytest.raises(SpecError, match=f"--key: got {twice} of {ROWS} sampled rows that repeat ride_id"):
            choose_key(rows, "at", "is_late", ["ride_id"])


def test_a_key_that_comes_back_on_another_day_is_none() -> None:
    """A partition alone would not find it, and the label of such a row would be another's."""
    last = SAMPLE.tail(1).with_columns(at=pl.col("at") + timedelta(days=9))
    assert choose_key(pl.concat([SAMPLE, SAMPLE.tail(1)]), "at", "is_late", []).columns == ("ride_id",)
    rows = pl.concat([SAMPLE, last])
    assert choose_key(rows, "at", "is_late", []).columns == ("ride_id", "at")
    with pytest.raises(SpecError, match=r"--key: got the same ride_id on several days.* --key \.\.\.,at"):
        choose_key(rows, "at", "is_late", ["ride_id"])


def test_a_key_that_rows_lack_is_refused() -> None:
    with pytest.raises(SpecError, match="--key: got rows without gone"):
        choose_key(SAMPLE, "at", "is_late", ["ride_id", "gone"])


def _target(*values: object) -> pl.Series:
    return pl.Series("paid", (list(values) * ROWS)[:ROWS])


@pytest.mark.parametrize(
    ("values", "asked", "task"),
    [
        ((True, False), None, "binary"),
        ((0, 1), None, "binary"),
        ((1.0, 0.0), None, "binary"),
        ((1.5, 2.5), None, "regression"),
        (tuple(range(11)), None, "regression"),
        ((1, 2, 3), "regression", "regression"),
        ((0, 1), "regression", "regression"),
        (("a", "b", "c"), None, "multiclass"),
        (("no", "yes"), "multiclass", "multiclass"),
        ((1, 2, 3), "multiclass", "multiclass"),
    ],
)
def test_the_task_is_told_by_the_target(values: tuple[object, ...], asked: object, task: str) -> None:
    assert require_target(_target(*values), asked) == task  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "asked", "said"),
    [
        (("no", "yes"), None, "--target paid: got two words, no, yes, .*--target-sql \"paid = 'yes'\""),
        (("a", "b", "c"), "binary", "got 3 words, a, b, c, expected true and false, .*--task multiclass"),
        (("a", "b", "c"), "regression", "expected numbers, as --task is regression. Hint: --task multiclass"),
        (tuple("abcdefghijklmnopqrstu"), None, "got 21 classes .a, b, .*expected at most 20"),
        ((1, 2, 3), None, "got 3 whole numbers .1, 2, 3.: classes or amounts.* --task multiclass if they are classes"),
        ((1.5, 2.5), "multiclass", "got Float64, expected words or whole numbers"),
        ((True, False), "multiclass", "got Boolean, .*Hint: --task binary"),
        ((1, 2), "binary", "got 2 numbers, expected 0 and 1, or true and false"),
        ((True, False), "regression", "got true and false, expected numbers"),
        ((5,), None, "got always 5, expected two values or more"),
        ((START, TIMES[9]), None, "expected a number or true and false"),
    ],
)
def test_a_target_without_a_task_is_refused_by_name(values: tuple[object, ...], asked: object, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        require_target(_target(*values), asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(("rows", "is_enough"), [(KNOWN_AT_LEAST - 1, False), (KNOWN_AT_LEAST, True)])
def test_a_target_is_known_often_enough(rows: int, is_enough: bool) -> None:
    target = pl.Series("paid", [row % 2 == 0 for row in range(rows)] + [None] * 50)
    if is_enough:
        assert require_target(target, None) == "binary"
    else:
        with pytest.raises(NotEnoughRows, match=f"paid: rows in which it is known: got {rows} in the sample"):
            require_target(target, None)


@pytest.mark.parametrize(("rare", "is_enough"), [(OF_EACH_AT_LEAST - 1, False), (OF_EACH_AT_LEAST, True)])
def test_each_class_occurs_often_enough(rare: int, is_enough: bool) -> None:
    target = pl.Series("paid", [row < rare for row in range(ROWS)])
    if is_enough:
        assert require_target(target, None) == "binary"
    else:
        with pytest.raises(NotEnoughRows, match=f"paid: rows of its rarest value: got {rare}"):
            require_target(target, None)


def test_the_clock_gives_only_what_differs() -> None:
    """Times without a time of day have no hour; a name that is taken is not taken again."""
    times = pl.Series("Picked Up", TIMES)
    assert clock_features(times, ["hour"]) == {
        "Picked Up_hour": 'extract(hour from "Picked Up")',
        "weekday": 'extract(isodow from "Picked Up")',
    }
    assert list(clock_features(times.dt.truncate("1d"), [])) == ["weekday"]
