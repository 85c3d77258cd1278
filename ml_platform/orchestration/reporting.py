"""The report and the model card of a candidate: gathers what they tell, and puts them where people look.

Both are artifacts of the MLflow run that evaluated; the Dagster UI and the version in the registry point there.
"""

from contextlib import suppress
from typing import Any

import dagster as dg
import polars as pl

from ml_platform.contracts.errors import VersionNotFound
from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.ports import Ledger, ModelStore
from ml_platform.contracts.records import ModelVersion
from ml_platform.data.lake.tables import Lake
from ml_platform.orchestration.judging import Judged
from ml_platform.orchestration.report_facts import gather
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.resources import mlflow_ui_url
from ml_platform.validation.report.checklist import checklist_table
from ml_platform.validation.report.facts import NO_NUMBER_YET
from ml_platform.validation.served_fit import comparison_sentence

REPORT, CARD = "report.html", "model_card.md"


def report_candidate(
    pipeline: Pipeline, judged: Judged, version: ModelVersion, rows: pl.DataFrame, lake: Lake, models: ModelStore,
    ledger: Ledger, mlflow: Any,
) -> dict[str, Any]:  # fmt: skip
    """Write report and card of an evaluated candidate, and give what the UI shows of them.

    Parameters
    ----------
    rows : (n_rows, ...)
        The training set that the candidate was fitted on.
    mlflow : MlFlow
        The dagster-mlflow resource.
    """
    from ml_platform.validation.report.card import write_card
    from ml_platform.validation.report.render import render_report

    facts = gather(
        pipeline, judged, version, rows, lake, models, ledger.read(pipeline.name), _importance(mlflow, version)
    )
    card = write_card(facts)
    mlflow.log_text(render_report(facts), REPORT)
    mlflow.log_text(card, CARD)
    run = mlflow.active_run().info
    page = f"#/experiments/{run.experiment_id}/runs/{run.run_id}/artifacts"
    place = f"{mlflow_ui_url()}/{page}"
    with suppress(VersionNotFound):  # the registry lost it; `registry_faults` reports that
        models.describe(version, f"[Report]({page}/{REPORT})\n\n{card}")  # read in MLflow's UI, wherever that is
    compared = _note_on_champion(judged.evaluation, models)
    return {
        "report": dg.MetadataValue.url(f"{place}/{REPORT}"),
        "report_file": dg.MetadataValue.path(mlflow.get_artifact_uri(REPORT).removeprefix("file://")),
        "model_card": dg.MetadataValue.md(card),
        "checklist": dg.MetadataValue.md(checklist_table(facts.checklist)),
        **({} if compared is None else {"champion_fits": dg.MetadataValue.md(compared)}),
        **({"approval": dg.MetadataValue.md(facts.waits)} if facts.waits else {}),
    }


def _note_on_champion(evaluation: Evaluation, models: ModelStore) -> str | None:
    """Write into the champion's description what its two fits were worth on rows that are new to both."""
    found = evaluation.champion_fits
    if found is None:
        return None
    said = comparison_sentence(found)
    champion = ModelVersion(
        pipeline=evaluation.pipeline, version=found.version, digest=found.digest, as_of="", run_id=""
    )  # fmt: skip
    models.amend(champion, NO_NUMBER_YET, said)
    return f"Champion v{found.version}: {said}"


def _importance(mlflow: Any, version: ModelVersion) -> dict[str, float]:
    """Give what the fit logged of its features; nothing if its run is gone."""
    from mlflow.exceptions import MlflowException

    try:
        return mlflow.artifacts.load_dict(f"runs:/{version.run_id}/importance.json")
    except (MlflowException, OSError):
        return {}
