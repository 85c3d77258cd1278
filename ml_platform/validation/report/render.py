"""From facts to one HTML file that needs nothing else: no network, no other file, no server."""

import base64
import gzip
import json
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from ml_platform.validation.report.about import (
    checklist_section,
    data_section,
    drift_section,
    features_section,
    lineage_section,
)
from ml_platform.validation.report.facts import Facts
from ml_platform.validation.report.page import Cell, Chart, Section, number, words
from ml_platform.validation.report.results import errors_section, gates_section, metrics_section, parts_section

TEMPLATE = "report.html.jinja"
SECTIONS = (
    gates_section, metrics_section, parts_section, errors_section, features_section, data_section, drift_section,
    checklist_section, lineage_section,
)  # fmt: skip
OUTCOMES = {
    "pass": ("good", "Passed every gate"),
    "fail": ("bad", "Stopped by its gates"),
    "inconclusive": ("unsure", "Not promoted: gates are inconclusive"),
}


def render_report(facts: Facts) -> str:
    """Write the report of a candidate as one HTML file.

    Parameters
    ----------
    facts : Facts
        All that is told; what is missing is left out, and the report says so.

    Returns
    -------
    str
        Every text in it is escaped: names of columns and values of categories are the user's data.
    """
    sections = [make(facts) for make in SECTIONS]
    tone, said = OUTCOMES[facts.evaluation.outcome]
    return _template().render(
        facts=facts,
        evaluation=facts.evaluation,
        tone=tone,
        said=said,
        story=headline(facts),
        figures=_key_figures(facts),
        sections=sections,
        charts=_charts(sections),
        plotly=Markup(_packed_plotly()),  # noqa: S704 - base64 of a file of plotly's package
    )


def headline(facts: Facts) -> str:
    """Say in a sentence or two how good the candidate is."""
    metric, metrics = facts.metric, facts.evaluation.metrics
    ours, theirs = (metrics.get(model, {}).get(metric) for model in ("candidate", "champion"))
    newest = facts.newest_learnt_at
    known = "" if newest is None else f" The newest row it has learnt from is of {newest:%Y-%m-%d %H:%M} UTC."
    said = f"Version {facts.evaluation.version} is as of {facts.evaluation.as_of}.{known} "
    said += f"On {facts.evaluation.rows:,} rows that it has not seen its {words(metric)} is {number(ours)}"
    if theirs is None:
        return said + "."
    return said + f"; that of champion v{facts.evaluation.champion} is {number(theirs)}."


def _key_figures(facts: Facts) -> list[Cell]:
    metric, metrics, verdicts = facts.metric, facts.evaluation.metrics, facts.evaluation.verdicts
    found = [Cell(number(metrics.get("candidate", {}).get(metric)), words(metric))]
    if metric in metrics.get("champion", {}):
        found.append(Cell(number(metrics["champion"][metric]), f"of champion v{facts.evaluation.champion}"))
    passed = sum(verdict.outcome == "pass" for verdict in verdicts)
    found.append(Cell(f"{passed} of {len(verdicts)}", "gates passed"))
    found.append(Cell(f"{facts.evaluation.rows:,}", "holdout rows"))
    done = [item for item in facts.checklist if item.state != "not applicable"]
    if done:
        found.append(Cell(f"{sum(item.state == 'done' for item in done)} of {len(done)}", "checklist items done"))
    return found


def _charts(sections: list[Section]) -> Markup:
    """Give every figure as JSON that may stand in a script element."""
    figures = [block.figure for section in sections for block in section.blocks if isinstance(block, Chart)]
    text = json.dumps(figures, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - no sign that could end the element is left


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("ml_platform.validation.report", "."), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(TEMPLATE)


@cache
def _packed_plotly() -> str:
    """Give plotly's script in a third of its size; the page unpacks it."""
    script = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    return base64.b64encode(gzip.compress(script, 4, mtime=0)).decode()
