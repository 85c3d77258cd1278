"""The asset graph of the examples as text, one line for each asset, so that a reviewer reads a change as a diff."""

import dagster as dg
import pytest

from ml_platform.definitions import defs
from ml_platform_tests.pipelines.marks import DAGSTER

pytestmark = DAGSTER

# asset | partitions | upstream, with the partitions before it reads | checks, ! where they block | kinds
EXPECTED = """
flight_arrival_delay/candidate | day | member_gbm member_line training_set | fit_is_stable | mlflow
flight_arrival_delay/drift | day | endpoint features[-7..-1] | inputs_not_drifted | numpy polars
flight_arrival_delay/endpoint | - | evaluation | serves_offline_predictions | litestar mlflow
flight_arrival_delay/evaluation | day | candidate training_set | beats_baselines! champion_beats_baselines mae_not_worse_than_champion! rmse_at_most_70_0! rmse_not_worse_than_champion! served_as_offline! | mlflow scikitlearn
flight_arrival_delay/features | day | validated[-2..0] weather[-1..0] | - | deltalake polars
flight_arrival_delay/member_gbm | day | training_set | - | lightgbm mlflow
flight_arrival_delay/member_line | day | training_set | - | mlflow scikitlearn
flight_arrival_delay/raw | day | - | - | deltalake pandas python
flight_arrival_delay/training_set | day | features[-74..-1] validated[-74..-1] | features_are_fresh no_leakage! | deltalake polars
flight_arrival_delay/validated | day | raw | few_rows_quarantined key_is_unique rows_at_least | deltalake pandera polars
flight_arrival_delay/weather | day | - | - | deltalake python
flight_cancellations/candidate | week | training_set | fit_is_stable | lightgbm mlflow
flight_cancellations/drift | week | endpoint features[-2..-1] | inputs_not_drifted | numpy polars
flight_cancellations/endpoint | - | evaluation | serves_offline_predictions | litestar mlflow
flight_cancellations/evaluation | week | candidate training_set | average_precision_beats_baselines! champion_beats_baselines log_loss_at_most_0_25! log_loss_beats_baselines! not_worse_than_champion! | mlflow scikitlearn
flight_cancellations/features | week | validated[-2..0] weather[-1..0] | - | deltalake polars
flight_cancellations/raw | week | - | - | deltalake pandas python
flight_cancellations/training_set | week | features[-16..-1] validated[-16..-1] | features_are_fresh no_leakage! | deltalake polars
flight_cancellations/validated | week | raw | few_rows_quarantined key_is_unique rows_at_least | deltalake pandera polars
flight_cancellations/weather | week | - | - | deltalake python
flight_delays/candidate | day | training_set | fit_is_stable | lightgbm mlflow
flight_delays/drift | day | endpoint features[-7..-1] | inputs_not_drifted | numpy polars
flight_delays/endpoint | - | evaluation | serves_offline_predictions | litestar mlflow
flight_delays/evaluation | day | candidate training_set | champion_beats_baselines log_loss_at_most_0_65! log_loss_beats_baselines! not_much_worse_with_confidence! not_too_good_to_be_true! not_worse_than_champion! not_worse_than_champion_newest! not_worse_than_champion_per_carrier! roc_auc_beats_baselines! | mlflow scikitlearn
flight_delays/features | day | planes validated[-15..0] weather[-1..0] | - | deltalake polars
flight_delays/planes | - | - | - | deltalake python
flight_delays/raw | day | - | - | deltalake pandas python
flight_delays/training_set | day | features[-74..-1] validated[-74..-1] | features_are_fresh no_leakage! | deltalake polars
flight_delays/validated | day | raw | few_rows_quarantined key_is_unique rows_at_least | deltalake pandera polars
flight_delays/weather | day | - | - | deltalake python
"""  # noqa: E501 - one line for each asset
CADENCES = {dg.DailyPartitionsDefinition: "day", dg.WeeklyPartitionsDefinition: "week", type(None): "-"}
PIPELINES = ["flight_arrival_delay", "flight_cancellations", "flight_delays"]
VERBS = ("data", "monitor", "refresh", "retrain", "walk_forward")
DATA_STAGES = ["raw", "validated", "weather", "features", "drift"]


@pytest.fixture(scope="module")
def location() -> dg.Definitions:
    """Give the definitions that Dagster loads."""
    return defs()


def _upstream(dep: dg.AssetDep) -> str:
    mapping, stage = dep.partition_mapping, dep.asset_key.path[-1]
    if not isinstance(mapping, dg.TimeWindowPartitionMapping):
        return stage
    return f"{stage}[{mapping.start_offset}..{mapping.end_offset}]"


def _line(definition: dg.AssetsDefinition, location: dg.Definitions) -> str:
    [spec] = definition.specs
    upstream = " ".join(_upstream(dep) for dep in sorted(spec.deps, key=lambda dep: dep.asset_key)) or "-"
    graph = location.resolve_asset_graph()
    checks = [graph.get_check_spec(key) for key in sorted(graph.get_check_keys_for_assets({spec.key}))]
    named = " ".join(check.name + ("!" if check.blocking else "") for check in checks) or "-"
    partitions = CADENCES[type(definition.partitions_def)]
    return " | ".join([spec.key.to_user_string(), partitions, upstream, named, " ".join(sorted(spec.kinds))])


def test_the_graph_is_this(location: dg.Definitions) -> None:
    """Key, partitions, upstream, checks and kinds of every asset."""
    lines = [_line(each, location) for each in location.resolve_asset_graph().assets_defs if each.keys]
    assert "\n".join(sorted(lines)) == EXPECTED.strip()


def test_every_asset_says_whose_it_is(location: dg.Definitions) -> None:
    """Group, owners and a description stand on each."""
    for definition in location.resolve_asset_graph().assets_defs:
        for spec in definition.specs:
            assert (spec.group_name, list(spec.owners)) == (spec.key.path[0], ["team:flights"])
            assert spec.description


def test_data_stages_backfill_a_range_in_one_run(location: dg.Definitions) -> None:
    """Model stages do not: each as-of partition is a run of its own."""
    graph = location.resolve_asset_graph()
    found = {tuple(key.path): graph.get(key).backfill_policy for key in graph.get_all_asset_keys()}
    single = [key for key, policy in found.items() if policy == dg.BackfillPolicy.single_run()]
    assert sorted(single) == sorted((name, stage) for name in PIPELINES for stage in DATA_STAGES)


def test_jobs_are_named_by_what_they_do(location: dg.Definitions) -> None:
    """And schedule and sensors by what they watch; what acts by itself is off, what keeps books is on."""
    repository = location.get_repository_def()
    jobs = sorted(name for name in repository.job_names if not name.startswith("__"))
    assert jobs == sorted(f"{name}_{verb}" for name in PIPELINES for verb in VERBS)
    assert {schedule.name: schedule.job_name for schedule in repository.schedule_defs} == {
        "flight_arrival_delay_daily": "flight_arrival_delay_data",
        "flight_cancellations_weekly": "flight_cancellations_data",
        "flight_delays_daily": "flight_delays_data",
    }
    assert {schedule.default_status for schedule in repository.schedule_defs} == {dg.DefaultScheduleStatus.STOPPED}
    assert {sensor.name: sensor.default_status.value for sensor in repository.sensor_defs} == {
        **{f"{name}_drift": "STOPPED" for name in PIPELINES},
        "mlflow_runs_after_canceled": "RUNNING",
        "mlflow_runs_after_failure": "RUNNING",
    }


def test_every_job_of_every_pipeline_can_be_built(location: dg.Definitions) -> None:
    """Names of ops and graphs must not meet: of all pipelines in one code location, as the daemon loads them."""
    jobs = {job.name for job in location.get_repository_def().get_all_jobs()}
    assert {f"{name}_{verb}" for name in PIPELINES for verb in VERBS} <= jobs


def test_the_schedule_carries_on_to_drift_and_a_walk_forward_leaves_the_endpoint_alone(
    location: dg.Definitions,
) -> None:
    """Of every pipeline: what is loaded is compared with what the champion was trained on."""
    for name in PIPELINES:
        [schedule] = [each for each in location.get_repository_def().schedule_defs if name in each.name]
        loaded = location.resolve_job_def(schedule.job_name).asset_layer.executable_asset_keys
        assert dg.AssetKey([name, "drift"]) in loaded
        walked = location.resolve_job_def(f"{name}_walk_forward").asset_layer.executable_asset_keys
        retrained = location.resolve_job_def(f"{name}_retrain").asset_layer.executable_asset_keys
        assert set(retrained) - set(walked) == {dg.AssetKey([name, "endpoint"])}


def test_a_retrain_of_a_day_ends_in_the_endpoint(location: dg.Definitions) -> None:
    """The job is partitioned though the endpoint is not."""
    job = location.resolve_job_def("flight_delays_retrain")
    stages = {key.path[-1] for key in job.asset_layer.executable_asset_keys}
    assert stages == {"training_set", "candidate", "evaluation", "endpoint"}
    assert job.partitions_def is not None
    assert job.partitions_def.has_partition_key("2013-03-01")
