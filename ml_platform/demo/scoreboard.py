"""What the demo shows at the end: one table of what was loaded, how the models compare, and what was served."""

from dataclasses import dataclass, field
from typing import Any

import polars as pl
from rich.console import Group
from rich.table import Table

from ml_platform.contracts.errors import NotEnoughRows
from ml_platform.contracts.records import DriftReport
from ml_platform.demo.platform import Platform
from ml_platform.ledger.folds import Champion, evaluation_of
from ml_platform.orchestration.monitoring_assets import CHECK
from ml_platform.validation.metrics import score

FIELDS = [
    "flight_id",
    "scheduled_departure",
    "carrier",
    "origin",
    "dest",
    "tailnum",
    "distance_miles",
    "scheduled_arrival",
]
SHOWN = ("log_loss", "roc_auc", "brier")
COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


@dataclass(frozen=True)
class MonthScores:
    """One model on the flights of one month, scored over HTTP."""

    model: str
    rows: int
    metrics: dict[str, float]


@dataclass
class Scoreboard:
    """Collects the result as the story goes; each method gives the line that says so.

    Parameters
    ----------
    server : str
        URL of the model server that was used.
    """

    server: str
    lines: list[tuple[str, str]] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    def count_data(self, platform: Platform) -> str:
        """Count what was loaded, kept and quarantined."""
        kept = platform.lake.read(f"{platform.pipeline}/validated", columns=["flight_id"])
        bad = platform.lake.read(f"{platform.pipeline}/quarantine", columns=[])
        self.lines += [
            ("partitions loaded", f"{kept['partition'].n_unique()} days"),
            ("rows kept / quarantined", f"{len(kept):,} / {len(bad):,}"),
        ]
        return f"{len(kept):,} rows kept, {len(bad):,} quarantined"

    def add_evaluation(self, platform: Platform, promoted: Champion) -> str:
        """Show the candidate beside the champion and the baselines, and each gate's verdict."""
        found = evaluation_of(platform.ledger.read(platform.pipeline), promoted.version, promoted.digest)
        if found is None:
            raise NotEnoughRows.because(
                "ledger", got="no evaluation", expected=f"one of v{promoted.version}", hint="see the ledger"
            )
        table = _metric_table(
            f"Candidate v{promoted.version}, as of {promoted.as_of}, on {found.rows:,} holdout flights"
        )
        for model, metrics in found.metrics.items():
            table.add_row(model, *_numbers(metrics))
        self.tables.append(table)
        gates = Table("verdict", "why", "gate", title_justify="left")
        for verdict in found.verdicts:
            colour = COLOURS[verdict.outcome]
            gates.add_row(f"[{colour}]{verdict.outcome}[/{colour}]", verdict.sentence, verdict.gate)
        self.tables.append(gates)
        passed = sum(verdict.outcome == "pass" for verdict in found.verdicts)
        return f"v{promoted.version} passed {passed} of {len(found.verdicts)} gates and is champion"

    def add_month(self, month: str, scores: list[MonthScores]) -> str:
        """Show what was scored over HTTP, on outcomes that are known by now."""
        table = _metric_table(f"Flights of {month}, scored over HTTP", "flights")
        for each in scores:
            table.add_row(each.model, f"{each.rows:,}", *_numbers(each.metrics))
        self.tables.append(table)
        return "; ".join(f"{each.model}: {each.rows:,} flights, AUC {each.metrics['roc_auc']:.3f}" for each in scores)

    def add_drift(self, platform: Platform, as_of: str) -> str:
        """Show what the drift check found."""
        sentence = drift_report(platform, as_of).sentence
        self.lines.append((f"{CHECK} as of {as_of}", sentence))
        return sentence

    def add_retrain(self, run_id: str) -> str:
        """Show which run the sensor asked for."""
        self.lines.append(("retrain, asked for by the sensor", f"Dagster run {run_id}"))
        return f"the sensor asked for a retrain: Dagster run {run_id}"

    def render(self) -> Group:
        """Give everything, ready to print."""
        summary = Table("what", "result", title="The main job, on real flights", title_justify="left")
        summary.add_row("endpoint", f"{self.server}/predict/flight_delays")
        for what, result in self.lines:
            summary.add_row(what, result)
        return Group(summary, *self.tables)


def drift_report(platform: Platform, as_of: str) -> DriftReport:
    """Give the newest drift report of a partition, from Dagster's own record of it."""
    event = platform.instance.get_latest_materialization_event(platform.key("drift"))
    if event is None or event.asset_materialization is None or event.asset_materialization.partition != as_of:
        raise NotEnoughRows.because("drift", got="no report", expected=f"one as of {as_of}", hint="see the Dagster UI")
    return DriftReport.model_validate(event.asset_materialization.metadata["report"].value)


def scores_of(platform: Platform, model: Champion, month: str) -> MonthScores:
    """Score every flight of a month that landed, over HTTP, with exactly this version."""
    flights = platform.lake.read(f"{platform.pipeline}/validated").filter(
        pl.col("partition").str.starts_with(month), pl.col("is_late").is_not_null()
    )
    rows: list[dict[str, Any]] = flights.select(FIELDS).to_dicts()
    predictions = platform.target.score(platform.pipeline, rows, model.version)
    metrics = score(flights["is_late"].to_numpy(), predictions, "binary")
    return MonthScores(f"v{model.version} ({model.as_of})", len(rows), metrics)


def _metric_table(title: str, *extra: str) -> Table:
    table = Table("model", *extra, *SHOWN, title=title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _numbers(metrics: dict[str, float]) -> list[str]:
    return [f"{metrics[name]:.4f}" if name in metrics else "" for name in SHOWN]
