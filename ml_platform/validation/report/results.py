"""The sections on results: metrics beside the rivals, gates, the newest part, slices, and what the errors look like."""

from collections.abc import Mapping

import numpy as np

from ml_platform.contracts.evaluations import Bounds, PartScore, Verdict
from ml_platform.contracts.metrics import worse_by
from ml_platform.validation.report import charts, curves
from ml_platform.validation.report.facts import NO_NUMBER_YET, Facts, Scores
from ml_platform.validation.report.page import (
    NONE,
    Block,
    Cell,
    Chart,
    Section,
    Table,
    Text,
    Tone,
    cells,
    number,
    words,
)
from ml_platform.validation.served_fit import comparison_sentence

TONES: dict[str, Tone] = {"pass": "good", "fail": "bad", "inconclusive": "unsure"}
SLICES_AT_MOST, CLASSES_AT_MOST = 40, 20
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def metrics_section(facts: Facts) -> Section:
    """Tell every metric of every model."""
    evaluation = facts.evaluation
    models = [name for name in ("candidate", "champion") if name in evaluation.metrics]
    models += [name for name in evaluation.metrics if name not in models]
    names = list(dict.fromkeys(name for model in models for name in evaluation.metrics[model]))
    rows = [[Cell(words(name)), *(_value(facts, model, name) for model in models)] for name in names]
    called = {
        "champion": f"champion v{evaluation.champion}",
        "prior": "baseline: prior",
        "last_value": "baseline: last value",
    }
    note = "Below a number stands its 95 % interval." if evaluation.intervals else "No intervals were taken."
    if evaluation.day_intervals:
        note += f" Rows of one day have much in common: over days stands that of {evaluation.days} days, kept whole."
    lead = f"All models on the same holdout of {evaluation.rows:,} rows, which no fit and no tuning has seen."
    if (duel := facts.scores.get("champion")) is not None and len(duel.labels) < evaluation.rows:
        note += f" The champion is measured on the {len(duel.labels):,} rows that it was not trained on."
    if evaluation.champion is None:
        note += " There is no champion to stand beside."
    elif "champion" not in evaluation.metrics:
        note += f" Champion v{evaluation.champion} could not be measured on these rows."
    if evaluation.served_fit is not None:
        note += f" {NO_NUMBER_YET}"
    if evaluation.champion_fits is not None:
        note += f" Champion v{evaluation.champion_fits.version}: {comparison_sentence(evaluation.champion_fits)}"
    header = ["metric", *(called.get(model, model) for model in models)]
    return Section("Metrics", lead, [Table(header, rows, note=note)])


def _value(facts: Facts, model: str, name: str) -> Cell:
    values = facts.evaluation.metrics
    value = values[model].get(name)
    tone: Tone = "plain"
    rivals = [each[name] for other, each in values.items() if other != "candidate" and name in each]
    if model == "candidate" and value is not None and rivals:
        best = min(rivals, key=lambda rival: worse_by(name, rival, 0.0))
        worse = worse_by(name, value, best)
        tone = "good" if worse < 0 else "unsure" if worse > 0 else "plain"
    by_rows = _bounds(facts.evaluation.intervals.get(model, {}).get(name))
    by_days = _bounds(facts.evaluation.day_intervals.get(model, {}).get(name))
    return Cell(number(value), f"{by_rows}; over days {by_days}" if by_days else by_rows, tone)


def _bounds(bounds: Bounds | None) -> str:
    return "" if bounds is None else f"{number(bounds.low)} to {number(bounds.high)}"


def gates_section(facts: Facts) -> Section:
    """Tell each verdict with its sentence and numbers."""
    verdicts = facts.evaluation.verdicts
    rows = [_verdict_row(verdict) for verdict in verdicts]
    passed = sum(verdict.outcome == "pass" for verdict in verdicts)
    lead = f"{passed} of {len(verdicts)} gates passed. The endpoint follows only a version that passes all of them."
    header = ["verdict", "because", "gate", "value", "bound", "reference", "rows", "over rows", "over days"]
    return Section("Gates", lead, [Table(header, rows, words=3)] if rows else [Text("No gate gave a verdict.")])


def _verdict_row(verdict: Verdict) -> list[Cell]:
    numbers = cells(number(verdict.value), number(verdict.bound), number(verdict.reference), f"{verdict.rows:,}")
    over_days = "" if verdict.days is None else f"{verdict.days} days"
    return [
        Cell(verdict.outcome, tone=TONES[verdict.outcome]),
        Cell(verdict.sentence),
        Cell(verdict.gate),
        *numbers,
        Cell(_bounds(verdict.by_rows) or NONE),
        Cell(_bounds(verdict.by_days) or NONE, over_days),
    ]


def parts_section(facts: Facts) -> Section:
    """Tell the newest part of the holdout, and every slice."""
    metric, evaluation = facts.metric, facts.evaluation
    parts = [*([] if evaluation.newest is None else [evaluation.newest]), *evaluation.slices]
    if not parts:
        lead = "Neither a newest part nor slices were scored by themselves: no gate asks for them."
        return Section("Slices", lead)
    whole = evaluation.metrics["candidate"].get(metric)
    lead = f"{words(metric)} on parts of the holdout; on the whole it is {number(whole)}."
    shown = parts[:SLICES_AT_MOST]
    left = f"{len(parts) - len(shown)} more are in evaluation.json." if len(parts) > len(shown) else ""
    rows = [_part_row(part, metric) for part in shown]
    blocks: list[Block] = [Table(["part", "rows", "candidate", "champion", "better or worse"], rows, note=left)]
    known = [part for part in shown if metric in part.metrics.get("candidate", {})]
    if known:
        values = [part.metrics["candidate"][metric] for part in known]
        bounds = [part.intervals.get("candidate", {}).get(metric) for part in known]
        figure = charts.intervals(
            [part.name for part in known],
            values,
            [(each.low, each.high) if each else None for each in bounds],
            words(metric),
        )
        blocks.append(Chart(f"{words(metric)} by part", figure, height=120 + 24 * len(known), is_wide=True))
    return Section("Slices", lead, blocks)


def _part_row(part: PartScore, metric: str) -> list[Cell]:
    ours, theirs = (part.metrics.get(model, {}).get(metric) for model in ("candidate", "champion"))
    interval = part.intervals.get("candidate", {}).get(metric)
    difference = Cell(NONE)
    if ours is not None and theirs is not None:
        worse = worse_by(metric, ours, theirs)
        said = "equal" if worse == 0 else f"{abs(worse):.3g} {'worse' if worse > 0 else 'better'}"
        difference = Cell(said, tone="plain" if worse == 0 else "unsure" if worse > 0 else "good")
    return [
        Cell(part.name),
        Cell(f"{part.rows:,}"),
        Cell(number(ours), _bounds(interval)),
        Cell(number(theirs)),
        difference,
    ]


def errors_section(facts: Facts) -> Section:
    """Show what the predictions look like beside what happened, as the task asks for."""
    match facts.task:
        case "binary":
            return _binary(facts)
        case "multiclass":
            return _multiclass(facts)
        case "regression":
            return _regression(facts)


def _binary(facts: Facts) -> Section:
    scores = _finite(facts.scores)
    ranked = {name: each for name, each in scores.items() if curves.has_both(each.labels)}
    blocks: list[Block] = []
    if ranked:
        blocks += [Chart("ROC", charts.roc(ranked)), Chart("Precision and recall", charts.precision_recall(ranked))]
    else:
        blocks.append(Text("The holdout has labels of one class alone: there is neither a ROC curve nor a precision."))
    if scores:
        blocks.append(Chart("Calibration", charts.calibration(scores), note="Ten bins of about equally many rows."))
    if (ours := scores.get("candidate")) is not None:
        blocks.append(
            Chart("Predictions", charts.probabilities(ours, facts.threshold), note="The line is the threshold.")
        )
        blocks.append(_decisions(ours, facts))
    return Section("Predictions", f"How the probabilities of {facts.label} stand beside what happened.", blocks)


def _decisions(scores: Scores, facts: Facts) -> Table:
    counts = curves.confusion(scores.labels, (scores.predictions >= facts.threshold).astype(np.float64), 2)
    total = max(1, int(counts.sum()))
    names = ("did not happen", "happened")
    rows = [
        [Cell(name), *(_count(int(count), total, is_right=row == column) for column, count in enumerate(counts[row]))]
        for row, name in enumerate(names)
    ]
    chosen = "by the pipeline's own rule" if facts.decides else "as the pipeline chooses none"
    recall, precision = _share(counts[1, 1], counts[1].sum()), _share(counts[1, 1], counts[:, 1].sum())
    note = f"At the threshold {facts.threshold:.4g}, {chosen}: precision {precision}, recall {recall}."
    return Table(["", "said no", "said yes"], rows, note=note)


def _multiclass(facts: Facts) -> Section:
    lead = f"Which class of {facts.label} was predicted, and which it was."
    scores = facts.scores.get("candidate")
    if scores is None or scores.predictions.ndim != 2:
        return Section("Predictions", lead, [Text("There are no predictions of classes to show.")])
    count = scores.predictions.shape[1]
    known = np.isfinite(scores.labels) & np.isfinite(scores.predictions).all(axis=1)
    labels, said = scores.labels[known], scores.predictions[known].argmax(axis=1).astype(np.float64)
    names = list(facts.classes) if len(facts.classes) == count else [f"class {place}" for place in range(count)]
    counts = curves.confusion(labels, said, count)
    shown: list[int] = np.sort(np.argsort(-counts.sum(axis=1), kind="stable")[:CLASSES_AT_MOST]).tolist()
    matrix = [
        [
            Cell(names[row]),
            *(_count(int(counts[row, column]), int(counts[row].sum()), is_right=row == column) for column in shown),
        ]
        for row in shown
    ]
    right = [int(counts[place, place]) for place in range(count)]
    per_class = [
        [
            *cells(names[place], f"{counts[place].sum():,}"),
            Cell(_share(right[place], int(counts[:, place].sum()))),
            Cell(_share(right[place], int(counts[place].sum()))),
            Cell(_share(2 * right[place], int(counts[:, place].sum() + counts[place].sum()))),
        ]
        for place in shown
    ]
    note = f"The {CLASSES_AT_MOST} largest of {count} classes." if count > CLASSES_AT_MOST else ""
    blocks: list[Block] = [
        Table(["happened, said:", *(names[place] for place in shown)], matrix, note=note or "Shares of what happened."),
        Table(["class", "rows", "precision", "recall", "f1"], per_class),
    ]
    if class_by_class := _each_class(facts.scores):
        note = "Each row once for each class: the probability of the class, and whether it was that class."
        blocks.append(Chart("Calibration", charts.calibration(class_by_class), note=note, is_wide=True))
    return Section("Predictions", lead, blocks)


def _each_class(models: Mapping[str, Scores]) -> dict[str, Scores]:
    """Give whether each class happened and its probability, row after row, of rows with finite predictions."""
    found: dict[str, Scores] = {}
    for name, each in models.items():
        known = np.isfinite(each.labels) & np.isfinite(each.predictions).all(axis=1)
        said = each.predictions[known]
        if known.any():
            happened = np.column_stack([each.labels[known] == place for place in range(said.shape[1])])
            found[name] = Scores(happened.ravel().astype(np.float64), said.ravel())
    return found


def _regression(facts: Facts) -> Section:
    lead = f"How the predictions of {facts.label} stand beside what happened."
    scores = _finite(facts.scores)
    ours = scores.get("candidate")
    if ours is None:
        return Section("Predictions", lead, [Text("There are no finite predictions to show.")])
    error = ours.labels - ours.predictions
    errors = {name: np.quantile(each.labels - each.predictions, LEVELS) for name, each in scores.items()}
    header = ["actual - predicted", "5 %", "25 %", "50 %", "75 %", "95 %"]
    some = f"{charts.POINTS_AT_MOST:,} rows, evenly chosen." if len(error) > charts.POINTS_AT_MOST else ""
    blocks: list[Block] = [
        Chart("Predicted and actual", charts.actual_over_predicted(ours), note=some),
        Chart("Residuals", charts.residuals(scores)),
        Chart("Residuals over the prediction", charts.residuals_over_predicted(ours), is_wide=True),
        Table(header, [[Cell(name), *(Cell(number(float(each))) for each in row)] for name, row in errors.items()]),
    ]
    if facts.quantile is not None:
        blocks[:0] = _coverage(scores, facts.quantile)
    return Section("Predictions", lead, blocks)


def _coverage(scores: Mapping[str, Scores], quantile: float) -> list[Block]:
    """Tell whether as many rows lie at or below the predicted quantile as should."""
    below = {name: (each.labels <= each.predictions).mean() for name, each in scores.items()}
    rows = [[Cell(name), Cell(f"{share:.1%}"), Cell(f"{quantile:.1%}")] for name, share in below.items()]
    note = "The dotted line is the quantile that is predicted. Ten bins of about equally many rows."
    return [
        Table(["rows at or below the prediction", "share", "should be"], rows),
        Chart("Rows at or below the prediction", charts.coverage(scores, quantile), note=note, is_wide=True),
    ]


def _finite(scores: Mapping[str, Scores]) -> dict[str, Scores]:
    """Leave out rows without a finite prediction, and models without any row."""
    found: dict[str, Scores] = {}
    for name, each in scores.items():
        if each.predictions.ndim == 1 and (known := np.isfinite(each.predictions) & np.isfinite(each.labels)).any():
            found[name] = Scores(each.labels[known], each.predictions[known])
    return found


def _count(count: int, total: int, *, is_right: bool) -> Cell:
    tone: Tone = "plain" if not count else "good" if is_right else "bad"
    return Cell(f"{count:,}", _share(count, total), tone, fill=count / total if total else 0.0)


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else NONE
