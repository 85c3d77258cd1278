"""Judging a candidate: which rival it meets, on which rows, and where the verdicts are written down."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from ml_platform.contracts.errors import ContractError, LedgerConflict, VersionNotFound
from ml_platform.contracts.evaluations import Evaluation, ServedFit, Verdict
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.ports import Ledger, ModelStore
from ml_platform.contracts.records import ModelVersion
from ml_platform.contracts.spec import Gate, ServedFitGate, ServedGate
from ml_platform.data.lake.tables import Lake
from ml_platform.ledger.folds import champion, evaluations_before, next_seq, promotions
from ml_platform.ledger.identity import require_one_digest
from ml_platform.orchestration.demands import demands
from ml_platform.orchestration.deployed_bundle import version_bundle
from ml_platform.orchestration.measuring import baseline_thresholds, measure_of
from ml_platform.orchestration.member_files import member_predictors
from ml_platform.orchestration.metadata import picture
from ml_platform.orchestration.outcomes import class_by_class, outcomes
from ml_platform.orchestration.packaging import rows_digest
from ml_platform.orchestration.partitions import partitions_def
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.rival import open_rival
from ml_platform.orchestration.serving_gate import served_verdicts
from ml_platform.orchestration.strongest import strongest_alone
from ml_platform.registry.bundle import Bundle, FitName
from ml_platform.scoring.classes import Class
from ml_platform.validation.alerts import champion_alert
from ml_platform.validation.applicable import mark_not_applicable
from ml_platform.validation.evaluation import evaluate
from ml_platform.validation.measure import THRESHOLD, FloatArray
from ml_platform.validation.metrics import score
from ml_platform.validation.plots import actual_plot, calibration_plot, metric_table, verdict_table
from ml_platform.validation.scored import Scored
from ml_platform.validation.served_fit import Learnt, judge_served_fit

if TYPE_CHECKING:
    from ml_platform.serving.predictor import Predictor

ATTEMPTS_AT_MOST = 5
CHAMPION_CHECK = "champion_beats_baselines"
FITS: tuple[FitName, FitName] = ("judged", "served")


@dataclass(frozen=True)
class Judged:
    """An evaluation with the predictions it came from."""

    evaluation: Evaluation
    labels: FloatArray
    predictions: dict[str, FloatArray]
    task: Task
    classes: tuple[Class, ...] = ()

    def metadata(self) -> dict[str, Any]:
        """Show the evaluation in the UI."""
        return {
            "outcome": self.evaluation.outcome,
            "holdout_rows": self.evaluation.rows,
            "metrics": dg.MetadataValue.md(metric_table(self.evaluation.metrics)),
            "verdicts": dg.MetadataValue.md(verdict_table(self.evaluation.verdicts)),
            **self._shown(),
            **self.evaluation.metrics["candidate"],
        }

    def _shown(self) -> dict[str, Any]:
        if self.task == "binary":
            return {"calibration": picture(calibration_plot(self.labels, self.predictions), "calibration")}
        if self.task == "multiclass":
            plot = calibration_plot(*class_by_class(self.labels, self.predictions))
            return {"calibration": picture(plot, "calibration of each class")}
        return {"predicted_and_actual": picture(actual_plot(self.labels, self.predictions), "predicted and actual")}

    def check_results(self, *, is_blocking: bool) -> list[dg.AssetCheckResult]:
        """Show each verdict as an asset check; what is not a pass stops the run if `is_blocking`, else it warns.

        A gate for which the champion has left too few new rows is not applicable, which is nothing to warn of.
        """
        return [
            dg.AssetCheckResult(
                check_name=verdict.gate,
                passed=verdict.outcome == "pass" or not verdict.is_applicable,
                severity=dg.AssetCheckSeverity.ERROR if is_blocking else dg.AssetCheckSeverity.WARN,
                description=verdict.sentence if verdict.is_applicable else f"Not applicable: {verdict.sentence}",
                metadata={
                    name: value
                    for name, value in verdict.model_dump(exclude={"gate", "condition", "basis"}).items()
                    if value is not None
                },
            )
            for verdict in self.evaluation.verdicts
        ] + [self._champion_check(is_blocking=is_blocking)]

    def _champion_check(self, *, is_blocking: bool) -> dg.AssetCheckResult:
        """Raise an alert where the candidate was refused and what serves loses to a constant; it stops no run.

        Like a gate it is red in a run that was to replace the champion, and warns in a walk forward.
        """
        alert = self.evaluation.alert
        if alert:
            dg.get_dagster_logger().error(f"ALERT: the candidate was refused, and {alert}")
        return dg.AssetCheckResult(
            check_name=CHAMPION_CHECK,
            passed=not alert,
            severity=dg.AssetCheckSeverity.ERROR if is_blocking else dg.AssetCheckSeverity.WARN,
            description=alert or "Nothing says that the champion loses to a baseline while its successor is refused.",
        )


def champion_check_spec(pipeline: Pipeline) -> dg.AssetCheckSpec:
    """Declare the check on what serves while a candidate is refused."""
    return dg.AssetCheckSpec(
        CHAMPION_CHECK,
        asset=[pipeline.name, "evaluation"],
        partitions_def=partitions_def(pipeline),
        description="An alert: a candidate was refused while the champion itself loses to a baseline. Blocks nothing.",
    )


def judge_candidate(
    pipeline: Pipeline, version: ModelVersion, rows: pl.DataFrame, lake: Lake, models: ModelStore, ledger: Ledger
) -> Judged:
    """Score the candidate, its rival and the baselines on the holdout, and judge every gate.

    The rival is the champion; for a version that is the champion already it is the one before, so that running a
    finished retrain again gives the verdicts it had.

    Parameters
    ----------
    rows : (n_rows, ...)
        The training set that the candidate was fitted on.
    """
    from ml_platform.training.baselines import predict_baselines

    bundle = version_bundle(version, models)
    _require_same_rows(bundle, rows, pipeline)
    holdout = rows.filter(pl.col("part") == "holdout")
    decisions, spec = ledger.read(pipeline.name), pipeline.spec
    before = next((each for each in promotions(decisions) if each.digest != version.digest), None)
    rival = None if before is None else open_rival(pipeline, before, models)
    mine, serves = (_predictor(bundle, fit) for fit in FITS)
    others = [] if rival is None else rival.predictors
    happened = outcomes(rows, "holdout", spec.label.task, mine, serves, *others)
    labels, candidate = happened.labels, happened.said_by(mine, holdout)
    champion = None if rival is None else rival.scores(pipeline, holdout, happened)
    baselines = predict_baselines(rows, happened.classes, spec.quantile)
    gates = [gate for gate in spec.gates if not isinstance(gate, ServedGate)]
    measure = measure_of(pipeline, THRESHOLD if mine.threshold is None else mine.threshold)
    local = holdout[spec.event_time].dt.convert_time_zone(spec.partitions.timezone)
    at = local.dt.replace_time_zone(None).to_numpy()
    evaluation = evaluate(
        version, labels=labels, candidate=candidate, baselines=baselines, champion=champion,
        gates=gates, measure=measure,
        slices={name: holdout[name].to_list() for gate in gates if isinstance(gate, Gate) for name in gate.per or ()},
        at=at,
        thresholds=baseline_thresholds(pipeline, rows, baselines),
        earlier=evaluations_before(decisions, version.version),
        strongest=partial(strongest_alone, spec, rows, candidate, happened),
    )  # fmt: skip
    served = served_verdicts(pipeline, version, bundle, rows, lake)
    scored = Scored(labels, candidate, baselines, measure)
    refit, served_fit = _served_fit(pipeline, serves, happened.said_by(serves, holdout), scored)
    is_unseen = None if champion is None else champion.is_unseen
    compared = mark_not_applicable(spec.gates, evaluation.verdicts, is_unseen, at)
    verdicts = _ordered(pipeline, [*compared, *served, *refit])
    members = member_predictors(bundle, mine)
    shown = {name: score(labels, happened.said_by(each, holdout), measure) for name, each in members.items()}
    metrics = evaluation.metrics | shown  # members are no rivals: no gate looks at them
    fits = None if rival is None else rival.fits_on_new_rows(pipeline, holdout, happened, measure)
    evaluation = evaluation.model_copy(
        update={"verdicts": verdicts, "metrics": metrics, "served_fit": served_fit, "champion_fits": fits}
    )
    if evaluation.outcome != "pass":
        alert = champion_alert(labels, champion, baselines, measure, spec.loss)
        evaluation = evaluation.model_copy(update={"alert": alert})
    predictions = {"candidate": candidate}
    if champion is not None and champion.predictions is not None:
        predictions["champion"] = champion.predictions
    return Judged(evaluation, labels, predictions, happened.task, happened.classes)


def record_evaluation(
    evaluation: Evaluation, version: ModelVersion, ledger: Ledger, models: ModelStore, actor: str
) -> None:
    """Write the verdicts to the ledger, then show them in the registry; a version that passed is the challenger."""
    payload = evaluation.model_dump(mode="json")
    because = f"gates say {evaluation.outcome}"
    for attempt in range(ATTEMPTS_AT_MOST):
        try:
            decisions = ledger.read(evaluation.pipeline)
            require_one_digest(decisions, version)
            seq = next_seq(decisions)
            ledger.append(
                evaluation.pipeline,
                "evaluated",
                expected_seq=seq,
                actor=actor,
                because=because,
                version=version.version,
                payload=payload,
            )
            break
        except LedgerConflict:  # what was measured stays true, whoever else wrote meanwhile
            if attempt == ATTEMPTS_AT_MOST - 1:
                raise
    with suppress(VersionNotFound):  # the registry lost it; `registry_faults` reports that
        _show(evaluation, version, ledger, models)


def _show(evaluation: Evaluation, version: ModelVersion, ledger: Ledger, models: ModelStore) -> None:
    models.note(version, evaluation)
    present = champion(ledger.read(evaluation.pipeline))
    if evaluation.outcome == "pass" and (present is None or version.as_of > present.as_of):
        models.set_alias(version, "challenger")
    else:
        models.drop_alias(version, "challenger")


def _predictor(bundle: Bundle, fit: FitName) -> "Predictor":
    from ml_platform.serving.predictor import Predictor

    return Predictor.load(bundle, fit)


def _served_fit(
    pipeline: Pipeline, predictor: "Predictor", predictions: FloatArray, scored: Scored
) -> tuple[list[Verdict], ServedFit | None]:
    """Judge the fit that serves beside the one that was judged; nothing of a pipeline that does not refit."""
    gates = [gate for gate in pipeline.spec.all_gates if isinstance(gate, ServedFitGate)]
    if not gates:
        return [], None
    manifest = predictor.manifest
    learnt = Learnt(manifest.learnt_rows or 0, manifest.learnt_until, manifest.newest_learnt_at)
    verdict, record = judge_served_fit(gates[0], scored, predictions, learnt)
    return [verdict], record


def _ordered(pipeline: Pipeline, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Put verdicts in the order of the spec's gates, each with what it hangs on."""
    demanded = demands(pipeline.spec, pipeline.metrics)
    order = list(demanded)
    marked = (verdict.model_copy(update={"basis": demanded[verdict.gate].basis}) for verdict in verdicts)
    return tuple(sorted(marked, key=lambda verdict: order.index(verdict.gate)))


def _require_same_rows(bundle: Bundle, rows: pl.DataFrame, pipeline: Pipeline) -> None:
    """Refuse a training set that was cut anew since the fit: its holdout may hold rows the model was fitted on."""
    got = rows_digest(rows, pipeline.spec.key)
    if got != bundle.manifest.rows_digest:
        raise ContractError.because(
            f"training set as of {bundle.manifest.as_of}",
            got=f"rows {got[:12]}",
            expected=f"the rows the candidate was fitted on, {bundle.manifest.rows_digest[:12]}",
            hint="the training set was made again since: materialize candidate (its members first), then evaluation",
        )
