"""A report is one HTML file that needs nothing else, escapes what is the user's, and does without what is missing."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from ml_platform.contracts.evaluations import Bounds, Evaluation, PartScore, Verdict
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.records import ColumnDrift
from ml_platform.validation.report import (
    Day,
    Explanation,
    Facts,
    Item,
    Part,
    Scores,
    checklist_table,
    render_report,
    write_card,
)
from ml_platform.validation.report.curves import POINTS_AT_MOST, confusion, recall_points, roc_points

EVIL = "<script>alert(1)</script>|\"'&</title>"
ROWS = 400
RNG = np.random.default_rng(5)
PREDICTIONS = RNG.uniform(0, 1, ROWS)
LABELS = (RNG.uniform(0, 1, ROWS) < PREDICTIONS).astype(float)


class Page(HTMLParser):
    """Reads a page strictly: every element that is opened is closed, in order."""

    VOID = ("meta", "br", "link", "img")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.scripts: dict[str, str] = {}
        self.addresses: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember the element."""
        given = dict(attrs)
        self.addresses += [given[name] or "" for name in ("src", "href") if name in given]
        if tag not in self.VOID:
            self.open.append(tag)
            self.last = given.get("id") or ""

    def handle_endtag(self, tag: str) -> None:
        """Expect the newest that is open."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Give the text to the reader, or to its script."""
        if self.open and self.open[-1] == "script":
            self.scripts[self.last] = self.scripts.get(self.last, "") + data
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All that a reader sees."""
        return " ".join(" ".join(self.texts).split())

    @property
    def figures(self) -> list[dict[str, Any]]:
        """The charts."""
        return json.loads(self.scripts["figures"])


def _verdict(outcome: Any = "pass", gate: str = "log_loss_at_most_0_65") -> Verdict:
    return Verdict(gate=gate, outcome=outcome, sentence="Seen.", value=0.5, bound=0.65, reference=None, rows=ROWS)


def _evaluation(**changes: Any) -> Evaluation:
    fields: dict[str, Any] = {
        "pipeline": "flights", "version": 7, "digest": "d7", "as_of": "2013-07-01", "champion": None, "rows": ROWS,
        "metrics": {"candidate": {"log_loss": 0.51, "roc_auc": 0.75}, "prior": {"log_loss": 0.69, "roc_auc": 0.5}},
        "verdicts": (_verdict(),),
    }  # fmt: skip
    return Evaluation.model_validate(fields | changes)


def _least(task: Task = "binary", **changes: Any) -> Facts:
    """Give what is always known, and nothing else."""
    return replace(
        Facts(
            evaluation=_evaluation(), description="Will it be late?", owners=(), task=task, label="is_late",
            kind="lightgbm", scores={"candidate": Scores(LABELS, PREDICTIONS)}, written_at="2013-07-01 08:00 UTC",
        ),
        **changes,
    )  # fmt: skip


def _most() -> Facts:
    """Give everything."""
    part = {"candidate": {"log_loss": 0.6}, "champion": {"log_loss": 0.55}}
    slices = (
        PartScore(
            name="carrier=UA", rows=90, metrics=part, intervals={"candidate": {"log_loss": Bounds(low=0.5, high=0.7)}}
        ),
        PartScore(name="carrier=AA", rows=10, metrics={"candidate": {}}),
    )
    metrics = {**_evaluation().metrics, "champion": {"log_loss": 0.53, "roc_auc": 0.74}}
    bounds = {"candidate": {"log_loss": Bounds(low=0.49, high=0.53)}}
    evaluation = _evaluation(
        champion=6, metrics=metrics, intervals=bounds, threshold=0.3, slices=slices,
        newest=PartScore(name="newest 2d", rows=80, metrics=part),
    )  # fmt: skip
    drift = [
        ColumnDrift(
            name="hour",
            kind="numeric",
            psi=0.4,
            ks=0.2,
            reference_null_share=0,
            current_null_share=0.1,
            is_drifted=True,
        ),
        ColumnDrift(
            name="carrier",
            kind="category",
            psi=0.1,
            ks=None,
            reference_null_share=0,
            current_null_share=0,
            is_drifted=False,
        ),
    ]
    moved = RNG.normal(0, 1, (50, 2))
    return _least(
        evaluation=evaluation,
        owners=("team:flights",),
        scores={"candidate": Scores(LABELS, PREDICTIONS), "champion": Scores(LABELS[:100], 1 - PREDICTIONS[:100])},
        importance={"hour": 3.0, "carrier": 1.0},
        explanations=(
            Explanation(("hour", "carrier"), moved, np.where(moved > 1, np.nan, moved), (False, True), "log odds"),
        ),
        parts=(Part("train", 1000, "2013-05-01 00:00", "2013-06-01 00:00", 0.3),),
        days=(Day("2013-05-01", "train", 100, 0.3), Day("2013-06-01", "holdout", 90, None)),
        drift=tuple(drift),
        lineage={"code": "0.1.0+abc"},
        params={"gbm.num_leaves": "63"},
        notes=("Parameters are those of the last study.",),
        checklist=(
            Item("Somebody owns it", "done", "team:flights"),
            Item("It can be made again", "not done", "not yet"),
        ),
        waits="It waits for an approval until 2013-07-08 08:00 UTC.",
        decides=True,
    )


def test_a_report_tells_everything() -> None:
    """Each section has what it is named for."""
    page = Page(render_report(_most()))
    for told in (
        "flights version 7", "Passed every gate", "log loss is 0.5100; that of champion v6 is 0.5300",
        "0.4900 to 0.5300", "The champion is measured on the 100 rows", "newest 2d", "carrier=UA", "0.05 worse",
        "At the threshold 0.3, by the pipeline's own rule", "1 of 2 columns", "50 rows of the holdout",
        "Somebody owns it", "1 of 2 items are not done yet", "gbm.num_leaves", "waits for an approval",
        "Parameters are those of the last study.",
    ):  # fmt: skip
        assert told in page.text, told
    assert (
        len(page.figures) == page.text.count("ROC") + 8 - 1
    )  # ROC, PR, calibration, predictions, slices, 2 features, days


def test_members_that_are_explained_one_by_one_have_a_chart_each() -> None:
    """With what they are, and how much each counts."""
    most = _most()
    [alone] = most.explanations
    members = tuple(replace(alone, of=name, note="They count gbm 0.700, line 0.300.") for name in ("gbm", "line"))
    page = Page(render_report(replace(most, kind="ensemble", explanations=members)))
    for told in ("of member gbm", "of member line", "They count gbm 0.700", "counted by the member's coefficient"):
        assert told in page.text, told
    assert len(page.figures) == len(Page(render_report(most)).figures) + 1


def test_a_report_needs_no_network() -> None:
    """It names no address but places in itself, and brings plotly along."""
    text = render_report(_most())
    page = Page(text)
    assert all(each.startswith("#") for each in page.addresses)
    outside = text.replace(page.scripts["plotly"], "")
    assert not re.search(r"https?://|//cdn|@import|url\(", outside)
    assert len(page.scripts["plotly"]) > 1_000_000
    assert len(text) < 2_500_000


def test_what_is_the_users_is_escaped_everywhere() -> None:
    """Names of columns, values of categories, sentences, owners: none can open an element, also not in a chart."""
    most = _most()
    assert most.drift is not None
    slices = (PartScore(name=f"carrier={EVIL}", rows=90, metrics={"candidate": {"log_loss": 0.6}}),)
    verdict = _verdict(gate=EVIL).model_copy(update={"sentence": EVIL})
    evil = replace(
        most,
        evaluation=most.evaluation.model_copy(update={"slices": slices, "verdicts": (verdict,), "pipeline": EVIL}),
        description=EVIL, label=EVIL, kind=EVIL, importance={EVIL: 1.0}, notes=(EVIL,), waits=EVIL, drift_note=EVIL,
        explanations=(replace(most.explanations[0], columns=(EVIL, "carrier"), of=EVIL, note=EVIL),),
        params={EVIL: EVIL}, lineage={EVIL: EVIL},
        drift=tuple(each.model_copy(update={"name": EVIL}) for each in most.drift),
        checklist=(Item(EVIL, "done", EVIL),), parts=(Part(EVIL, 1, EVIL, EVIL, None),),
    )  # fmt: skip
    text = render_report(evil)
    page = Page(text)
    assert "<script>alert" not in text
    assert page.text.count("alert(1)") > 12
    assert "<script" not in json.dumps(page.figures)
    assert not set("<>&") & set(page.scripts["figures"])  # nothing there can end its element
    assert "&lt;script&gt;" in json.dumps(page.figures)
    card = write_card(evil)
    assert "<script" not in card


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_what_is_missing_is_left_out_and_told(task: Task) -> None:
    """No champion, no intervals, no slices, no explanation, no drift, no checklist."""
    page = Page(render_report(_least(task)))
    for told in ("There is no champion to stand beside", "No intervals were taken", "Neither a newest part nor slices"):
        assert told in page.text
    assert "There is no champion whose training rows" in page.text
    assert "no exact contributions" in page.text
    assert "without intervals" in write_card(_least(task))


def test_a_holdout_of_one_class_has_no_curves() -> None:
    """It says so, and shows the rest."""
    page = Page(render_report(_least(scores={"candidate": Scores(np.zeros(ROWS), PREDICTIONS)})))
    assert "labels of one class alone" in page.text
    assert len(page.figures) == 2


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_predictions_that_are_not_finite_are_left_out(task: Task) -> None:
    """All of them, or some."""
    some = np.where(np.arange(ROWS) % 2, PREDICTIONS, np.nan)
    assert Page(render_report(_least(task, scores={"candidate": Scores(LABELS, some)}))).figures
    none = Page(render_report(_least(task, scores={"candidate": Scores(LABELS, np.full(ROWS, np.nan))})))
    assert none.figures == []


def test_an_evaluation_without_any_metric_is_reported() -> None:
    """Nothing was defined, no gate gave a verdict."""
    page = Page(render_report(_least(evaluation=_evaluation(metrics={"candidate": {}}, verdicts=()))))
    assert "its log loss is -" in page.text
    assert "No gate gave a verdict" in page.text
    assert "Not promoted: gates are inconclusive" in page.text


@pytest.mark.parametrize(("outcome", "said"), [("fail", "Stopped by its gates"), ("inconclusive", "inconclusive")])
def test_a_failure_is_told_first(outcome: str, said: str) -> None:
    """In the banner, and in the card's limits."""
    facts = _least(evaluation=_evaluation(verdicts=(_verdict(outcome),)))
    assert said in Page(render_report(facts)).text
    assert f"- {outcome.capitalize()}: Seen. (gate log_loss_at_most_0_65)" in write_card(facts)


def test_several_classes_have_a_matrix() -> None:
    """What happened down, what was said across."""
    predictions = np.eye(3)[np.array([0, 0, 1, 2, 2])]
    scores = {"candidate": Scores(np.array([0.0, 1.0, 1.0, 2.0, np.nan]), predictions)}
    page = Page(render_report(_least("multiclass", scores=scores, classes=("low", "middle", "high"))))
    assert "happened, said: low middle high low 1 100.0%" in page.text
    assert "middle 1 50.0% 1 50.0%" in page.text
    assert "middle 2 100.0% 50.0% 66.7%" in page.text


def test_classes_that_were_never_confused_are_no_fault() -> None:
    """A zero off the diagonal is as it should be, so it is not marked."""
    scores = {"candidate": Scores(np.array([0.0, 1.0]), np.eye(2))}
    text = render_report(_least("multiclass", scores=scores, classes=("low", "high")))
    assert '<td class="plain number">0<small>0.0%</small></td>' in text
    assert '<td class="good number filled"' in text


def test_several_classes_have_a_calibration_and_no_mean() -> None:
    """Each row counts once for each class; days are told by their rows."""
    predictions = np.array([[0.8, 0.2], [0.8, 0.2], [0.2, 0.8], [0.2, 0.8], [np.nan, 0.1]])
    scores = {"candidate": Scores(np.array([0.0, 1.0, 1.0, 1.0, 1.0]), predictions)}
    parts, days = (Part("train", 4, "a", "b", None),), (Day("2013-05-01", "train", 4, None),)
    page = Page(render_report(_least("multiclass", scores=scores, parts=parts, days=days)))
    calibration, over_time = page.figures
    [line] = calibration["data"]
    assert (line["x"], line["y"]) == ([0.2, 0.8], [0.25, 0.75])
    assert [each["y"] for each in over_time["data"]] == [[4], [], []]
    assert "mean of is_late" not in page.text


def test_a_quantile_is_told_by_its_own_loss_and_by_how_many_rows_lie_below_it() -> None:
    """As many as the quantile says should; the loss of a mean would say nothing of it."""
    metrics = {"candidate": {"rmse": 9.0, "pinball": 1.25}}
    labels = np.arange(100.0)
    scores = {"candidate": Scores(labels, np.full(100, 79.0)), "champion": Scores(labels, np.linspace(0, 98, 100))}
    facts = _least("regression", evaluation=_evaluation(metrics=metrics), scores=scores, quantile=0.9)
    page = Page(render_report(facts))
    assert "its pinball is 1.2500" in page.text
    assert "rows at or below the prediction share should be candidate 80.0% 90.0% champion 1.0% 90.0%" in page.text
    candidate, _ = page.figures[0]["data"]
    assert (candidate["x"], candidate["y"]) == ([79.0], [0.8])
    assert page.figures[0]["layout"]["shapes"][0]["y0"] == 0.9
    assert "(regression, the quantile 0.9)" in write_card(facts)


@pytest.mark.parametrize(("decides", "said"), [(True, "by the pipeline's own rule"), (False, "chooses none")])
def test_a_threshold_that_nobody_chose_is_told_as_such(decides: bool, said: str) -> None:
    facts = _least(evaluation=_evaluation(threshold=0.5), decides=decides)
    assert said in Page(render_report(facts)).text


def test_a_regression_has_its_errors() -> None:
    """Beside the champion's."""
    scores = {"candidate": Scores(90 * LABELS, 90 * PREDICTIONS), "champion": Scores(90 * LABELS, 60 * PREDICTIONS)}
    page = Page(render_report(_least("regression", scores=scores)))
    assert "actual - predicted 5 % 25 %" in page.text
    assert [each["name"] for each in page.figures[1]["data"]] == ["candidate", "champion"]


def test_numbers_of_charts_are_json() -> None:
    """Infinite ones and none are null."""
    page = Page(render_report(_least(importance={"hour": float("inf"), "carrier": 1.0})))
    assert page.figures[-1]["data"][0]["x"] == [0.0, None]


def test_the_card_tells_use_data_numbers_limits_and_how_to_make_it_again() -> None:
    """In this order."""
    card = write_card(_most())
    found = re.findall(r"^## (.+)$", card, re.MULTILINE)
    assert found == ["Intended use", "Data", "Metrics", "Gates", "Limits", "Checklist", "How to make it again"]
    assert "Owners: team:flights" in card
    assert "0.5100 (0.4900 to 0.5300)" in card
    assert "moved away from the champion's in hour" in card
    assert "ml-platform reproduce flights 7" in card


def test_a_checklist_has_a_line_for_each_item() -> None:
    """With its state and its evidence, on one line."""
    table = checklist_table([Item("It will be watched", "not done", "nobody\nasks | for it")])
    assert table.splitlines()[2:] == ["| ❌ not done | It will be watched | nobody asks \\| for it |"]


def test_curves_are_those_of_scikit_learn() -> None:
    """With ties; thinned out they keep their ends."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    ties = PREDICTIONS[:200].round(1)
    expected = roc_curve(LABELS[:200], ties, drop_intermediate=False)
    for ours, theirs in zip(roc_points(LABELS[:200], ties), expected[:2], strict=True):
        assert np.allclose(ours, theirs)
    precision, recall, _ = precision_recall_curve(LABELS[:200], ties)
    ours = recall_points(LABELS[:200], ties)
    known = len(ours[0])
    assert np.allclose(ours[0], recall[::-1][1 : known + 1])
    assert np.allclose(ours[1], precision[::-1][1 : known + 1])
    false, true = roc_points(np.tile(LABELS, 20), np.linspace(0, 1, 20 * ROWS))
    assert len(false) == POINTS_AT_MOST
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)


def test_a_confusion_counts_rows() -> None:
    """What happened down, what was said across."""
    counts = confusion(np.array([0.0, 0, 1, 1, 1]), np.array([0.0, 1, 1, 1, 0]), 2)
    assert counts.tolist() == [[1, 1], [1, 2]]
