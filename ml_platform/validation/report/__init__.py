"""The report and the model card of a candidate: from plain values to one HTML file and one Markdown file."""

from ml_platform.validation.report.card import write_card
from ml_platform.validation.report.checklist import Item, checklist_table
from ml_platform.validation.report.facts import Day, Explanation, Facts, Part, Scores
from ml_platform.validation.report.render import render_report

__all__ = [
    "Day",
    "Explanation",
    "Facts",
    "Item",
    "Part",
    "Scores",
    "checklist_table",
    "render_report",
    "write_card",
]
