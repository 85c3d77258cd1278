"""What the report of a candidate tells: gathered from its bundle, its rows, the ledger and the champion's bundle."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.ports import ModelStore
from ml_platform.contracts.records import ColumnDrift, Decision, ModelVersion
from ml_platform.data.lake.tables import Lake
from ml_platform.data.quality.verdicts import read_verdicts
from ml_platform.data.splits.leakage import certify
from ml_platform.data.splits.parts import DAY, PART, PARTS
from ml_platform.deployment.controller import state_of
from ml_platform.features.encoding import Encoder
from ml_platform.ledger.folds import promotions
from ml_platform.monitoring.drift import compare
from ml_platform.monitoring.profiles import Profile
from ml_platform.orchestration.approval import how_to_answer
from ml_platform.orchestration.deployed_bundle import champion_bundle, version_bundle
from ml_platform.orchestration.evidence import Evidence, checklist
from ml_platform.orchestration.judging import Judged
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.registry import bundle as files
from ml_platform.registry.bundle import Bundle
from ml_platform.rollout.approval import ApprovalState, Waiting
from ml_platform.validation.report.facts import Day, Explanation, Facts, Part, Scores

SUM = "The sum of what each feature did to the members, each times its coefficient ({}): this is exact."
MEAN = "A mean of probabilities is no sum over the features, so what is told is of each member alone; they count {}."
UNITS = {"binary": "log odds", "multiclass": "log odds of the class it says", "regression": "units of the label"}


def gather(
    pipeline: Pipeline, judged: Judged, version: ModelVersion, rows: pl.DataFrame, lake: Lake, models: ModelStore,
    decisions: list[Decision], importance: Mapping[str, float],
) -> Facts:  # fmt: skip
    """Gather all that a report tells, as plain values."""
    spec, evaluation, now = pipeline.spec, judged.evaluation, datetime.now(UTC)
    bundle = version_bundle(version, models)
    holdout = rows.filter(pl.col(PART) == "holdout")
    rival = _rival(pipeline, decisions, evaluation, models)
    drift, drift_note = _drift(pipeline, rows, rival)
    state = state_of(version, decisions, spec.approval, now)
    days = sorted(rows[DAY].unique().to_list())
    evidence = Evidence(
        spec=spec, evaluation=evaluation, decisions=decisions, approval=state, partitions=days,
        rows_digest=bundle.manifest.rows_digest, verdicts=read_verdicts(lake, pipeline.name, days),
        leakage=certify(rows, spec, version.as_of),
        reproduction=models.certificate(version),
    )  # fmt: skip
    return Facts(
        evaluation=evaluation,
        description=spec.description,
        owners=tuple(spec.owners),
        task=spec.label.task,
        label=spec.label.column,
        kind=spec.kind,
        scores=_scores(pipeline, judged, holdout, rival),
        written_at=f"{now:%Y-%m-%d %H:%M} UTC",
        classes=tuple(map(str, judged.classes)),
        importance=importance,
        explanations=_explanations(pipeline, bundle, holdout),
        parts=_parts(pipeline, rows),
        days=_days(rows),
        drift=drift,
        drift_note=drift_note,
        lineage=_lineage(version, bundle),
        params=_params(bundle),
        notes=(*_notes(bundle), *_missing_note(bundle, holdout)),
        warnings=_warnings(bundle),
        learnt_rows=bundle.manifest.learnt_rows,
        newest_learnt_at=bundle.manifest.newest_learnt_at,
        learnt_until=bundle.manifest.learnt_until,
        checklist=checklist(evidence),
        waits=_waits(version, state, evaluation),
        quantile=spec.quantile,
        decides=spec.decide.decides,
    )


def _waits(version: ModelVersion, state: ApprovalState, evaluation: Evaluation) -> str:
    if not isinstance(state, Waiting) or evaluation.outcome != "pass":
        return ""
    return f"It waits for an approval until {state.until:%Y-%m-%d %H:%M} UTC: {how_to_answer(version)}."


def _rival(
    pipeline: Pipeline, decisions: list[Decision], evaluation: Evaluation, models: ModelStore
) -> tuple[str, Bundle] | None:
    """Give as-of and bundle of the champion that the candidate was compared with."""
    found = next((each for each in promotions(decisions) if each.version == evaluation.champion), None)
    if found is None or "champion" not in evaluation.metrics:
        return None
    return found.as_of, champion_bundle(pipeline.name, found, models)


def _scores(
    pipeline: Pipeline, judged: Judged, holdout: pl.DataFrame, rival: tuple[str, Bundle] | None
) -> dict[str, Scores]:
    """Give what was predicted by each model; by the champion on the rows that it was not trained on."""
    found = {"candidate": Scores(judged.labels, judged.predictions["candidate"])}
    theirs = judged.predictions.get("champion")
    if rival is not None and theirs is not None and theirs.shape == judged.predictions["candidate"].shape:
        until = rival[1].manifest.learnt_until or pipeline.calendar.as_of(rival[0])
        unseen = (holdout[pipeline.spec.event_time] >= until).to_numpy()
        if unseen.any():
            found["champion"] = Scores(judged.labels[unseen], theirs[unseen])
    return found


def _explanations(pipeline: Pipeline, bundle: Bundle, holdout: pl.DataFrame) -> tuple[Explanation, ...]:
    from ml_platform.scoring.contributions import contributions, counting_members, member_contributions

    read = bundle.reader("judged")
    encoder, description = Encoder.from_json(json.loads(read(files.ENCODER))), json.loads(read(files.MODEL))
    matrix = encoder.encode(holdout)
    whole = contributions(read, matrix)
    found = member_contributions(read, matrix) if whole is None else {"": whole}
    counting = counting_members(description) if pipeline.spec.ensemble else {}
    said = ", ".join(f"{name} {value:.3f}" for name, value in counting.items())
    note = (SUM if whole else MEAN).format(said) if counting else ""
    is_category = tuple(name in encoder.categorical for name in encoder.columns)
    return tuple(
        Explanation(encoder.columns, moved, matrix[places], is_category, UNITS[pipeline.spec.label.task], name, note)
        for name, (places, moved) in found.items()
    )


def _drift(
    pipeline: Pipeline, rows: pl.DataFrame, rival: tuple[str, Bundle] | None
) -> tuple[tuple[ColumnDrift, ...] | None, str]:
    """Compare the rows it was trained on with the champion's, in the columns that both have."""
    if rival is None:
        return None, ""
    reference = Profile.from_json(rival[1].read_bytes(files.REFERENCE))
    known = {name: column for name, column in reference.columns.items() if _is_alike(rows, name, column.kind)}
    gone = sorted(reference.columns.keys() - known.keys())
    reference = reference.model_copy(update={"columns": known})
    learnt = rows if pipeline.spec.refit == "all" else rows.filter(pl.col(PART) == "train")
    current = reference.profile(learnt)
    note = f"Columns of the champion that are no more, or of another type: {', '.join(gone)}." if gone else ""
    return compare(reference, current, pipeline.spec.monitoring), note


def _is_alike(rows: pl.DataFrame, name: str, kind: str) -> bool:
    dtype = rows.schema.get(name)
    return dtype is not None and (dtype == pl.Null or (dtype == pl.String) == (kind == "category"))


def _parts(pipeline: Pipeline, rows: pl.DataFrame) -> tuple[Part, ...]:
    at, zone = pl.col(pipeline.spec.event_time), pipeline.spec.partitions.timezone
    local = rows.with_columns(at.dt.convert_time_zone(zone))
    counted = local.group_by(PART).agg(rows=pl.len(), first=at.min(), last=at.max(), label=_mean(rows))
    found = {row[PART]: row for row in counted.iter_rows(named=True)}
    return tuple(
        Part(
            name=name, rows=row["rows"], label=row["label"],
            first=f"{row['first']:%Y-%m-%d %H:%M}", last=f"{row['last']:%Y-%m-%d %H:%M}",
        )
        for name in PARTS
        if (row := found.get(name)) is not None
    )  # fmt: skip


def _days(rows: pl.DataFrame) -> tuple[Day, ...]:
    counted = rows.group_by(DAY, PART).agg(rows=pl.len(), label=_mean(rows)).sort(DAY, PART)
    return tuple(Day(row[DAY], row[PART], row["rows"], row["label"]) for row in counted.iter_rows(named=True))


def _mean(rows: pl.DataFrame) -> pl.Expr:
    """Give the mean of the labels; none where they are no numbers."""
    is_number = rows["label"].dtype.is_numeric() or rows["label"].dtype == pl.Boolean
    return pl.col("label").cast(pl.Float64).mean() if is_number else pl.lit(None, dtype=pl.Float64)


def _lineage(version: ModelVersion, bundle: Bundle) -> dict[str, str]:
    manifest = bundle.manifest
    tables = {
        f"table {each.table}": f"version {each.version}, {each.rows:,} rows in the partitions read"
        for each in manifest.data
    }
    libraries = ", ".join(f"{name} {number}" for name, number in manifest.libraries.items())
    return {
        "as of": version.as_of,
        **tables,
        "training manifest": manifest.training_manifest or "none",
        "rows": manifest.rows_digest,
        "bundle": version.digest,
        "spec": manifest.spec_digest,
        "code": manifest.code_version,
        "libraries": libraries,
        "MLflow run": version.run_id,
    }


def _notes(bundle: Bundle) -> tuple[str, ...]:
    """Give what is to be said of how the version was searched and fitted."""
    fit = bundle.read_json(files.FIT) if files.FIT in bundle.manifest.files else {}
    return (*fit.get("notes", ()), *fit.get("told", ()))


def _warnings(bundle: Bundle) -> tuple[str, ...]:
    """Return what makes the version's fits doubtful."""
    return tuple(bundle.read_json(files.FIT).get("warnings", ())) if files.FIT in bundle.manifest.files else ()


def _missing_note(bundle: Bundle, holdout: pl.DataFrame) -> tuple[str, ...]:
    """Name the features that were never missing in training, what stands in for a missing value, and where it did."""
    encoder = Encoder.from_json(bundle.read_json(files.ENCODER))
    if not encoder.fills:
        return ()
    fills = {name: fill if isinstance(fill, str) else f"{fill:.6g}" for name, fill in encoder.fills.items()}
    listed = ", ".join(f"{name} ({fill})" for name, fill in fills.items())
    imputed = encoder.encode_counted(holdout).imputed
    met = ", ".join(f"{count:,} of {name}" for name, count in imputed.items()) or "none"
    said = "Never missing in training, so a missing value is answered as the median or the most frequent value"
    return (f"{said}: {listed}. Missing in the holdout: {met}.",)


def _params(bundle: Bundle) -> dict[str, str]:
    """Give what each model was fitted with."""
    if files.FIT not in bundle.manifest.files:
        return {}
    models: Mapping[str, Mapping[str, Any]] = bundle.read_json(files.FIT).get("models", {})
    told = {
        f"{model}.{name}": value
        for model, spec in models.items()
        for name, value in {**spec, **spec.get("params", {})}.items()
        if name != "params" and value not in (None, {}, [])
    }
    return {name: str(value) for name, value in told.items()}
