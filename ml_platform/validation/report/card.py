"""The model card in Markdown: what a version is for, what it was made of, how good it is, and where it ends."""

from collections.abc import Iterator

from ml_platform.contracts.evaluations import Bounds
from ml_platform.validation.plots import table, verdict_table
from ml_platform.validation.report.checklist import checklist_table
from ml_platform.validation.report.facts import NO_NUMBER_YET, Facts
from ml_platform.validation.report.page import number, words
from ml_platform.validation.report.render import headline

SLICES_AT_MOST = 20


def write_card(facts: Facts) -> str:
    """Write the model card of a candidate."""
    evaluation = facts.evaluation
    owners = ", ".join(facts.owners) or "nobody is named"
    task = facts.task if facts.quantile is None else f"{facts.task}, the quantile {facts.quantile:g}"
    lines = [
        f"# {evaluation.pipeline}, version {evaluation.version}",
        "",
        f"**{evaluation.outcome}** at its gates. {headline(facts)} {facts.waits}".strip(),
        "",
        "## Intended use",
        facts.description,
        "",
        f"Predicts `{facts.label}` ({task}) by a model of kind {facts.kind}. Owners: {owners}.",
        "",
        "## Data",
        _data(facts),
        "",
        "## Metrics",
        _metrics(facts),
        *_slices(facts),
        "",
        "## Gates",
        verdict_table(evaluation.verdicts),
        "",
        "## Limits",
        *_limits(facts),
        "",
        "## Checklist",
        checklist_table(facts.checklist),
        "",
        "## How to make it again",
        f"`ml-platform reproduce {evaluation.pipeline} {evaluation.version}` reads the same versions of the tables:",
        "",
        table(["", "made of"], [[name, value] for name, value in facts.lineage.items()]),
        *(f"\n{note}" for note in facts.notes),
    ]
    return "\n".join(_plain(line) for line in lines) + "\n"


def learnt_from(facts: Facts) -> str:
    """Say which rows the version that serves has learnt from."""
    if facts.newest_learnt_at is None or facts.learnt_rows is None:
        return f"It knows what was known before {facts.evaluation.as_of}; what has changed since, it has not seen."
    return (
        f"It has learnt from {facts.learnt_rows:,} rows, the newest of {facts.newest_learnt_at:%Y-%m-%d %H:%M} UTC; "
        "what has changed since, it has not seen."
    )


def _plain(text: str) -> str:
    """Keep text from being read as HTML: names and values are the user's data."""
    return text.replace("<", "&lt;")


def _data(facts: Facts) -> str:
    rows = [[part.name, part.first, part.last, f"{part.rows:,}", number(part.label)] for part in facts.parts]
    return table(["part", "first row", "last row", "rows", f"mean of {facts.label}"], rows)


def _metrics(facts: Facts) -> str:
    evaluation = facts.evaluation
    names = list(dict.fromkeys(name for each in evaluation.metrics.values() for name in each))
    rows = [
        [
            words(name),
            *(
                _with_bounds(values.get(name), evaluation.intervals.get(model, {}).get(name))
                for model, values in evaluation.metrics.items()
            ),
        ]
        for name in names
    ]
    return table([f"on {evaluation.rows:,} rows", *evaluation.metrics], rows)


def _with_bounds(value: float | None, bounds: Bounds | None) -> str:
    return number(value) if bounds is None else f"{number(value)} ({number(bounds.low)} to {number(bounds.high)})"


def _slices(facts: Facts) -> list[str]:
    evaluation, metric = facts.evaluation, facts.metric
    parts = [*([] if evaluation.newest is None else [evaluation.newest]), *evaluation.slices][:SLICES_AT_MOST]
    if not parts:
        return []
    rows = [
        [
            part.name,
            f"{part.rows:,}",
            *(number(part.metrics.get(model, {}).get(metric)) for model in ("candidate", "champion")),
        ]
        for part in parts
    ]
    return ["", f"### {words(metric)} by part".capitalize(), table(["part", "rows", "candidate", "champion"], rows)]


def _limits(facts: Facts) -> Iterator[str]:
    """Say what is known to be weak: parts that are worse than the whole, rows that are few, what was not measured."""
    evaluation = facts.evaluation
    yield f"- {learnt_from(facts)}"
    if (fit := evaluation.served_fit) is not None:
        yield f"- {NO_NUMBER_YET}"
        yield from (f"- {warning}" for warning in fit.warnings)
    yield from (f"- {warning}" for warning in facts.warnings)
    yield f"- Its numbers come from {evaluation.rows:,} rows" + (
        ", with 95 % intervals." if evaluation.intervals else ", without intervals."
    )
    if not evaluation.slices:
        yield "- No slice was scored by itself: it may be worse for some rows than for others."
    if drifted := [column.name for column in facts.drift or () if column.is_drifted]:
        yield f"- Its training rows have moved away from the champion's in {', '.join(drifted[:10])}."
    for verdict in evaluation.verdicts:
        if verdict.outcome != "pass":
            yield f"- {verdict.outcome.capitalize()}: {verdict.sentence} (gate {verdict.gate})"
