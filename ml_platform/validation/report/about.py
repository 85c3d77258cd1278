"""The sections on what a version was made of: features, data and drift, lineage, checklist."""

from ml_platform.contracts.records import ColumnDrift
from ml_platform.validation.report import charts
from ml_platform.validation.report.facts import Explanation, Facts
from ml_platform.validation.report.page import NONE, Block, Cell, Chart, Section, Table, Text, Tone, cells, number

STATES: dict[str, Tone] = {"done": "good", "not done": "bad", "not applicable": "plain"}
COLUMNS_AT_MOST = 60
IMPORTANCE = "By the model's own measure; of trees the gain of their splits."
IMPORTANCE_OF_SEVERAL = "Each member's own measure as shares, counted by the member's coefficient."
SWARM_COLOURS = "Blue is a low value of the feature and orange a high one; grey has no order."


def features_section(facts: Facts) -> Section:
    """Show which features matter, and what they do to predictions."""
    blocks: list[Block] = []
    if facts.importance:
        note = IMPORTANCE_OF_SEVERAL if facts.kind == "ensemble" else IMPORTANCE
        blocks.append(Chart("Importance", charts.importance(facts.importance), note=note, height=400, is_wide=True))
    told = [_swarm(each) for each in facts.explanations if len(each.contributions)]
    none = Text(f"Models of kind {facts.kind} give no exact contributions of single features here.")
    blocks += told or [none]
    return Section("Features", "Which features the model leans on, and how they move its predictions.", blocks)


def _swarm(explained: Explanation) -> Chart:
    title = "What each feature did to predictions" + (f" of member {explained.of}" if explained.of else "")
    rows = f"{len(explained.contributions):,} rows of the holdout, evenly chosen."
    note = f"{rows} A point is a row: to the right, the feature raised its prediction. {SWARM_COLOURS}"
    note = f"{explained.note} {note}".strip()
    return Chart(title, charts.swarm(explained), note=note, height=480, is_wide=True)


def data_section(facts: Facts) -> Section:
    """Show the parts of the training set, labels over time, and drift against the champion's."""
    blocks: list[Block] = []
    has_mean = facts.task != "multiclass"
    means = [[number(part.label)] if has_mean else [] for part in facts.parts]
    rows = [
        cells(part.name, part.first, part.last, f"{part.rows:,}", *mean)
        for part, mean in zip(facts.parts, means, strict=True)
    ]
    header = ["part", "first row", "last row", "rows", *([f"mean of {facts.label}"] if has_mean else [])]
    blocks.append(Table(header, rows, words=3))
    if facts.days and has_mean:
        label = "share" if facts.task == "binary" else "mean"
        chart = charts.labels_over_time(facts.days, f"{label} of {facts.label}")
        blocks.append(Chart(f"{facts.label} over time", chart, note="Bars count rows.", is_wide=True))
    elif facts.days:
        blocks.append(Chart("Rows over time", charts.rows_over_time(facts.days), height=240, is_wide=True))
    return Section("Data", f"What was known before {facts.evaluation.as_of}, cut by time.", blocks)


def drift_section(facts: Facts) -> Section:
    """Tell how far the training rows left the champion's."""
    if facts.drift is None:
        return Section(
            "Drift", facts.drift_note or "There is no champion whose training rows these could be compared with."
        )
    drifted = [column for column in facts.drift if column.is_drifted]
    lead = (
        f"{len(drifted)} of {len(facts.drift)} columns of the training rows left those of champion "
        f"v{facts.evaluation.champion} by more than the pipeline's limit. {facts.drift_note}"
    )
    worst = sorted(facts.drift, key=lambda column: (-column.psi, column.name))
    note = f"The {COLUMNS_AT_MOST} that moved most." if len(worst) > COLUMNS_AT_MOST else ""
    header = ["column", "moved", "PSI", "KS", "null before", "null now"]
    return Section(
        "Drift", lead, [Table(header, [_drift_row(each) for each in worst[:COLUMNS_AT_MOST]], words=2, note=note)]
    )


def _drift_row(column: ColumnDrift) -> list[Cell]:
    moved = Cell("yes", tone="unsure") if column.is_drifted else Cell("no")
    ks = NONE if column.ks is None else f"{column.ks:.3f}"
    nulls = cells(f"{column.reference_null_share:.1%}", f"{column.current_null_share:.1%}")
    return [Cell(column.name), moved, Cell(f"{column.psi:.3f}"), Cell(ks), *nulls]


def checklist_section(facts: Facts) -> Section:
    """Tell what was to be done before the version serves, with the evidence."""
    rows = [[Cell(item.state, tone=STATES[item.state]), *cells(item.what, item.evidence)] for item in facts.checklist]
    missing = sum(item.state == "not done" for item in facts.checklist)
    lead = "Nothing is left to do." if not missing else f"{missing} of {len(rows)} items are not done yet."
    return Section("Checklist", lead, [Table(["", "before it serves", "evidence"], rows, words=3)])


def lineage_section(facts: Facts) -> Section:
    """Tell what the version was made of, and with which parameters."""
    lineage = [cells(name, value) for name, value in facts.lineage.items()]
    blocks: list[Block] = [Table(["", "made of"], lineage, words=2)]
    if facts.params:
        blocks.append(Table(["parameter", "value"], [cells(*pair) for pair in facts.params.items()], words=2))
    blocks += [Text(note) for note in (*facts.warnings, *facts.notes)]
    return Section("Lineage", "Everything that is needed to make this version again.", blocks)
