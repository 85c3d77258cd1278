"""What the Dagster UI shows of a result: tables, previews, pictures and links."""

import base64
from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from ml_platform.contracts.records import ModelVersion, TableVersion, TrainingManifest
from ml_platform.orchestration.resources import mlflow_ui_url

PREVIEW_ROWS = 5


def table_metadata(
    version: TableVersion, frame: pl.DataFrame, descriptions: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Describe a written table: its version, columns with what their author says of them, and a few rows."""
    described = descriptions or {}
    columns = [dg.TableColumn(name, str(dtype), described.get(name)) for name, dtype in frame.schema.items()]
    return {
        "delta/table": version.table,
        "delta/version": version.version,
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "preview": dg.MetadataValue.md(preview(frame)),
    }


def manifest_metadata(manifest: TrainingManifest) -> dict[str, Any]:
    """Show what a training set was made from."""
    lines = ["| table | version | partitions | rows |", "| --- | --- | --- | --- |"]
    for each in manifest.tables:
        rows = sum(content.rows for content in each.partitions.values())
        lines.append(f"| {each.table} | {each.version} | {len(each.partitions)} | {rows} |")
    return {"manifest": dg.MetadataValue.md("\n".join(lines)), "manifest_digest": manifest.digest}


def preview(frame: pl.DataFrame, rows: int = PREVIEW_ROWS) -> str:
    """Give the first rows as a Markdown table."""
    shown = [[_plain(value) for value in row] for row in frame.head(rows).iter_rows()]
    lines = [frame.columns, ["---"] * frame.width, *shown]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """Give a picture that the UI shows in place."""
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})")


def version_links(version: ModelVersion, experiment_id: str) -> dict[str, Any]:
    """Link a version and its run in the MLflow UI, `$ML_PLATFORM_MLFLOW_UI`."""
    mlflow_ui = mlflow_ui_url()
    return {
        "model/version": version.version,
        "model/digest": version.digest[:12],
        "mlflow/version": dg.MetadataValue.url(f"{mlflow_ui}/#/models/{version.pipeline}/versions/{version.version}"),
        "mlflow/run": dg.MetadataValue.url(f"{mlflow_ui}/#/experiments/{experiment_id}/runs/{version.run_id}"),
    }


def member_links(members: Mapping[str, ModelVersion], params: Mapping[str, Any]) -> dict[str, Any]:
    """Link the versions that an ensemble is made of, with what each counts; nothing of one model."""
    if not members:
        return {}
    lines = ["| member | version | digest | coefficient |", "| --- | --- | --- | --- |"]
    for name, version in members.items():
        address = f"{mlflow_ui_url()}/#/models/{version.pipeline}/versions/{version.version}"
        count = params[f"{name}.coefficient"]
        lines.append(
            f"| {name} | [{version.pipeline} v{version.version}]({address}) | {version.digest[:12]} | {count} |"
        )
    return {"ensemble": params["ensemble"], "members": dg.MetadataValue.md("\n".join(lines))}


def _plain(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
    return text.replace("|", "\\|")
