"""From drift reports to retrain requests, tick by tick, on real events of a Dagster instance."""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ml_platform.contracts.errors import ContractError, LedgerConflict
from ml_platform.contracts.records import ColumnDrift, Decision, DecisionKind, DriftReport
from ml_platform.monitoring import policy
from ml_platform.orchestration import drift_reports, retrain_sensor
from ml_platform.orchestration.partitions import partitions_def
from ml_platform_tests.fakes.ledger import InMemoryLedger
from ml_platform_tests.fakes.model_store import InMemoryModelStore
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.tiny.source import FAULTS
from ml_platform_tests.pipelines.world import LAST, RANGE_END, RANGE_START, World, definitions, faults, tiny

pytestmark = [pytest.mark.slow, *DAGSTER]

CHAMPION = "2020-01-16"
FIRST, SECOND, THIRD, FOURTH = "2020-01-23", "2020-01-25", "2020-01-27", "2020-01-29"  # cool-down: 5 days


def _report(as_of: str, *, is_drifted: bool, champion: int = 1) -> DriftReport:
    columns = [
        ColumnDrift(
            name=name,
            kind="numeric",
            psi=psi,
            ks=None,
            reference_null_share=0,
            current_null_share=0,
            is_drifted=is_drifted,
        )
        for name, psi in (("hour", 0.5), ("passengers", 1.25))
    ]
    return DriftReport(
        pipeline="tiny",
        as_of=as_of,
        champion=champion,
        champion_as_of=CHAMPION,
        window=tiny().calendar.window([as_of]),
        rows=600,
        outcome="drifted" if is_drifted else "stable",
        sentence="2 of 6 columns drifted" if is_drifted else "0 of 6 columns drifted",
        columns=tuple(columns),
    )


class Watch:
    """The sensor, its instance and ledger, and the cursor that Dagster would keep."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.ledger = InMemoryLedger()
        self.models = InMemoryModelStore(Path("never written"))
        self.cursor: str | None = None
        self.skipped: str | None = None
        self.repository = definitions(ledger=dg.ResourceDefinition.hardcoded_resource(None)).get_repository_def()
        self.write("promoted", {"digest": "d", "as_of": CHAMPION})

    def write(self, kind: DecisionKind, payload: Mapping[str, Any]) -> None:
        """Append to the ledger."""
        seq = len(self.ledger.read("tiny")) + 1
        self.ledger.append("tiny", kind, expected_seq=seq, actor="test", because="a test", version=1, payload=payload)

    def drift(self, *reports: DriftReport, backfill: str | None = None) -> str:
        """Materialize drift reports in one run; gives its id."""

        @dg.asset(
            key=["tiny", "drift"], partitions_def=partitions_def(tiny()), backfill_policy=dg.BackfillPolicy.single_run()
        )
        def drift(context: dg.AssetExecutionContext) -> None:
            for report in reports:
                metadata = {"report": dg.MetadataValue.json(report.model_dump(mode="json"))}
                context.add_asset_metadata(metadata, partition_key=report.as_of)

        tags = {RANGE_START: reports[0].as_of, RANGE_END: reports[-1].as_of}
        tags |= {"dagster/backfill": backfill} if backfill else {}
        return dg.materialize([drift], instance=self.instance, tags=tags).run_id

    def tick(self, *, is_kept: bool = True) -> list[dg.RunRequest]:
        """Evaluate the sensor; the cursor moves unless the tick is to be repeated."""
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources={"ledger": self.ledger, "models": self.models},
            sensor_name="tiny_drift",
        )
        evaluated = self.repository.get_sensor_def("tiny_drift").evaluate_tick(context)
        self.skipped = evaluated.skip_message
        if is_kept:
            self.cursor = evaluated.cursor
        return list(evaluated.run_requests or [])

    def decisions(self) -> list[tuple[str, str]]:
        """Give kind and as-of of what the sensor wrote."""
        return [(each.kind, each.payload["as_of"]) for each in self.ledger.read("tiny") if each.kind != "promoted"]

    def newest(self) -> Decision:
        """Give the newest decision."""
        return self.ledger.read("tiny")[-1]


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Give a sensor that never ticked, with version 1 champion."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Watch(instance)


@pytest.fixture
def watching(watch: Watch) -> Watch:
    """Give one that has ticked once."""
    assert watch.tick() == []
    return watch


def test_the_first_tick_starts_from_now(watch: Watch) -> None:
    """Drift of before launches nothing, neither then nor later; drift of after does."""
    watch.drift(_report(FIRST, is_drifted=True))
    assert watch.tick() == []
    assert watch.tick() == []
    assert watch.decisions() == []
    watch.drift(_report(SECOND, is_drifted=True))
    [request] = watch.tick()
    assert request.partition_key == SECOND


def test_a_request_names_partition_reason_and_evidence(watching: Watch) -> None:
    """And its run key is the drift run's, so that Dagster launches it once."""
    run_id = watching.drift(_report(FIRST, is_drifted=True))
    [request] = watching.tick()
    assert (request.run_key, request.partition_key) == (f"drift-{run_id}", FIRST)
    assert request.tags["ml_platform/reason"] == f"{FIRST}: 2 of 6 columns drifted"
    assert request.tags["ml_platform/evidence"] == "passengers 1.25, hour 0.50"
    assert request.tags["ml_platform/champion"] == "1"
    assert request.tags["dagster/partition"] == FIRST
    assert watching.decisions() == [("retrain_requested", FIRST)]
    assert watching.newest().payload["evidence"] == {"passengers": 1.25, "hour": 0.5}
    assert watching.newest().actor == "sensor tiny_drift"
    assert watching.tick() == []


@pytest.mark.parametrize(
    ("report", "because"),
    [
        (_report(FIRST, is_drifted=False), "the report is stable"),
        (_report(FIRST, is_drifted=True, champion=2), "the report is about champion v2"),
        (_report(CHAMPION, is_drifted=True), "not newer than the champion's"),
    ],
)
def test_a_declined_report_stands_in_the_ledger_too(watching: Watch, report: DriftReport, because: str) -> None:
    """With the reason."""
    watching.drift(report)
    assert watching.tick() == []
    assert watching.decisions() == [("retrain_declined", report.as_of)]
    assert because in watching.newest().because


def test_no_second_request_before_the_cool_down_is_over(watching: Watch) -> None:
    """Two and four days after the first it is declined, six days after it is not."""
    asked = []
    for as_of in (FIRST, SECOND, THIRD, FOURTH):
        watching.drift(_report(as_of, is_drifted=True))
        asked.append([request.partition_key for request in watching.tick()])
    assert asked == [[FIRST], [], [], [FOURTH]]
    assert [kind for kind, _ in watching.decisions()] == [
        "retrain_requested",
        "retrain_declined",
        "retrain_declined",
        "retrain_requested",
    ]


@pytest.mark.parametrize(
    ("status", "is_evaluated", "asks_again"),
    [
        (dg.DagsterRunStatus.FAILURE, False, True),
        (dg.DagsterRunStatus.CANCELED, False, True),
        (dg.DagsterRunStatus.FAILURE, True, False),
        (dg.DagsterRunStatus.SUCCESS, False, False),
    ],
)
def test_a_run_that_evaluated_nothing_starts_no_cool_down(
    watching: Watch, status: dg.DagsterRunStatus, is_evaluated: bool, asks_again: bool
) -> None:
    """A later group may ask again; the one that asked may not, since its run key is launched once."""
    watching.instance.add_run(dg.DagsterRun(job_name="tiny_retrain", status=dg.DagsterRunStatus.FAILURE))  # by hand
    watching.write("evaluated", {"as_of": FIRST})  # before the request: of an earlier run
    watching.drift(_report(FIRST, is_drifted=True), backfill="b")
    [request] = watching.tick()
    launched = {"dagster/run_key": str(request.run_key)}
    watching.instance.add_run(dg.DagsterRun(job_name="tiny_retrain", status=status, tags=launched))
    watching.write("evaluated", {"as_of": FIRST if is_evaluated else SECOND})
    watching.drift(_report("2020-01-24", is_drifted=True), backfill="b")
    assert watching.tick() == []
    assert "b has already asked" in watching.newest().because
    watching.drift(_report(SECOND, is_drifted=True))
    assert bool(watching.tick()) is asks_again


CANDIDATE = dg.AssetKey(["tiny", "candidate"])
ON_ITS_WAY = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@pytest.mark.parametrize("status", ON_ITS_WAY)
@pytest.mark.parametrize(
    "run",
    [
        {"job_name": "tiny_retrain"},
        {"job_name": "__ASSET_JOB", "asset_selection": {CANDIDATE, dg.AssetKey(["tiny", "endpoint"])}},
    ],
)
def test_no_request_while_a_retrain_is_on_its_way(
    watching: Watch, run: dict[str, Any], status: dg.DagsterRunStatus
) -> None:
    """By its job or from the asset graph. Queued counts too, but a queued run needs a code location."""
    assert {*ON_ITS_WAY, dg.DagsterRunStatus.QUEUED} == set(retrain_sensor.UNFINISHED)
    watching.instance.add_run(dg.DagsterRun(**run, status=status))
    watching.drift(_report(FIRST, is_drifted=True))
    assert watching.tick() == []
    assert watching.newest().because == "a retrain is running"


def test_an_ended_retrain_holds_nothing_up(watching: Watch) -> None:
    """Nor does a run of another job, of other assets, or of another pipeline."""
    watching.instance.add_run(dg.DagsterRun(job_name="tiny_data", status=dg.DagsterRunStatus.STARTED))
    for key in (["tiny", "drift"], ["other", "candidate"]):
        others = frozenset([dg.AssetKey(key)])
        status = dg.DagsterRunStatus.STARTED
        watching.instance.add_run(dg.DagsterRun(job_name="__ASSET_JOB", asset_selection=others, status=status))
    watching.instance.add_run(dg.DagsterRun(job_name="tiny_retrain", status=dg.DagsterRunStatus.FAILURE))
    watching.drift(_report(FIRST, is_drifted=True))
    assert len(watching.tick()) == 1


def test_a_backfill_asks_at_most_once(watching: Watch) -> None:
    """Many partitions in one run: the newest asks, the others are superseded, all are written down."""
    keys = [f"2020-01-{day}" for day in range(20, 31)]
    watching.drift(*[_report(key, is_drifted=True) for key in keys], backfill="b")
    [request] = watching.tick()
    assert (request.partition_key, request.run_key) == ("2020-01-30", "drift-b")
    assert sorted(watching.decisions()) == sorted(
        [("retrain_declined", key) for key in keys[:-1]] + [("retrain_requested", keys[-1])]
    )
    assert watching.tick() == []


def test_a_backfill_over_many_ticks_asks_at_most_once(watching: Watch) -> None:
    """Also far beyond the cool-down: whoever backfills a year of drift wants no model of each week."""
    asked = []
    for as_of in ("2020-01-20", "2020-01-27", "2020-02-03", "2020-02-10"):
        watching.drift(_report(as_of, is_drifted=True), backfill="b")
        asked += watching.tick()
    assert [request.partition_key for request in asked] == ["2020-01-20"]
    assert "b has already asked" in watching.newest().because


def _reported(watching: Watch, *reports: DriftReport) -> None:
    """Store reports as events without a run, in this order: quicker than runs, and all of one group."""
    for report in reports:
        metadata = {"report": dg.MetadataValue.json(report.model_dump(mode="json"))}
        event = dg.AssetMaterialization(["tiny", "drift"], partition=report.as_of, metadata=metadata)
        watching.instance.report_runless_asset_event(event)


def test_of_more_reports_than_a_tick_reads_the_newest_are_read(
    watching: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve between two ticks, in whatever order: the newest decides, and one decision counts the others."""
    monkeypatch.setattr(drift_reports, "REPORTS_PER_TICK", 3)
    keys = [f"2020-01-{day}" for day in range(18, 30)]
    drifted = [_report(key, is_drifted=True) for key in keys[:-1]]
    _reported(watching, *reversed(drifted), _report(keys[-1], is_drifted=False))
    assert watching.tick() == []
    assert watching.decisions() == [
        ("retrain_declined", key) for key in ("2020-01-26", "2020-01-27", "2020-01-28", "2020-01-29")
    ]
    unread, *_, newest = [each for each in watching.ledger.read("tiny") if each.kind == "retrain_declined"]
    assert unread.because == (
        "9 reports of 2020-01-18 to 2020-01-26 were not read: superseded by those up to 2020-01-29"
    )
    assert unread.payload["reports"] == 9
    assert newest.because.startswith("the report is stable")
    assert watching.tick() == []


def test_a_late_report_of_an_old_day_asks_for_nothing(watching: Watch) -> None:
    """The newest report is stable, and an earlier tick has seen it: the drift of the old day has passed."""
    watching.drift(_report(FOURTH, is_drifted=False))
    assert watching.tick() == []
    watching.drift(_report(FIRST, is_drifted=True))
    assert watching.tick() == []
    assert watching.newest().because == f"superseded by the report of {FOURTH}, which is newer"


def test_a_newer_report_that_found_nothing_out_silences_no_late_one(watching: Watch) -> None:
    inconclusive = _report(FOURTH, is_drifted=False).model_copy(update={"outcome": "inconclusive"})
    watching.drift(inconclusive)
    assert watching.tick() == []
    watching.drift(_report(FIRST, is_drifted=True))
    assert [request.partition_key for request in watching.tick()] == [FIRST]


@pytest.mark.parametrize("seed", range(12))
def test_only_the_newest_conclusive_report_ever_asks(
    watching: Watch, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Reports of random days in random order over random ticks, more than a tick reads: as a plain model says."""
    monkeypatch.setattr(drift_reports, "REPORTS_PER_TICK", 4)
    rng, newest, asked = random.Random(seed), dict[str, str](), list[int]()  # noqa: S311 - a test's chance
    for tick in range(5):
        monkeypatch.setattr(drift_reports, "_group", lambda *_, tick=tick: f"run {tick}")
        reports = [
            _report(f"2020-01-{rng.randint(17, 31)}", is_drifted=rng.random() < 0.6).model_copy(
                update={"outcome": "inconclusive"} if rng.random() < 0.3 else {}
            )
            for _ in range(rng.randint(0, 8))
        ]
        _reported(watching, *reports)
        newest |= {report.as_of: report.outcome for report in reports}
        last = max((day for day, outcome in newest.items() if outcome != "inconclusive"), default="")
        is_read = last in sorted({report.as_of for report in reports})[-4:]
        is_cool = all(abs(int(last[-2:]) - day) >= 5 for day in asked)
        expected = [last] if is_read and newest[last] == "drifted" and is_cool else []
        assert [request.partition_key for request in watching.tick()] == expected
        asked += [int(day[-2:]) for day in expected]


@pytest.mark.parametrize("cursor", ["soon", "12.5", "-3", "\u00b2", "{}"])
def test_a_cursor_that_is_no_number_is_explained(watching: Watch, cursor: str) -> None:
    watching.cursor = cursor
    with pytest.raises(ContractError, match="expected the storage id of a drift report, a number") as refused:
        watching.tick()
    assert "dagster sensor cursor tiny_drift --delete" in str(refused.value)


def test_a_reset_names_what_it_drops(watching: Watch) -> None:
    """Reports that no tick has decided on; decided ones are not dropped."""
    watching.drift(_report(FIRST, is_drifted=False))
    assert watching.tick() == []
    watching.drift(_report(THIRD, is_drifted=True))
    watching.drift(_report(FOURTH, is_drifted=True))
    watching.cursor = None
    assert watching.tick() == []
    dropped = f"watching from now on; not decided on: 2 drift reports of before, as of {FOURTH}, {THIRD}"
    assert watching.skipped is not None
    assert watching.skipped.startswith(f"first tick: {dropped}")  # the registry of this world has no champion


DIED = "the MLflow server is away"


def _die(watching: Watch, request: dg.RunRequest, status: dg.DagsterRunStatus = dg.DagsterRunStatus.FAILURE) -> str:
    """Let the run of a request end without a result; gives its id."""
    tags = {"dagster/run_key": str(request.run_key)}
    run = watching.instance.add_run(dg.DagsterRun("tiny_retrain", tags=tags, status=dg.DagsterRunStatus.STARTED))
    assert watching.tick() == []  # while it runs
    if status == dg.DagsterRunStatus.FAILURE:
        watching.instance.report_run_failed(run, DIED)
    else:
        watching.instance.report_run_canceled(run)
    return run.run_id


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nothing before a dead retrain is requested again."""
    monkeypatch.setattr(policy, "WAIT_S", (0.0, 0.0))


@pytest.mark.usefixtures("impatient")
def test_a_retrain_that_died_is_requested_again_with_the_reason(watching: Watch) -> None:
    """Three attempts in all, each with a run key of its own; then it is given up, once."""
    group = watching.drift(_report(FIRST, is_drifted=True))
    [request] = watching.tick()
    for attempt in (2, 3):
        run_id = _die(watching, request)
        [request] = watching.tick()
        assert (request.run_key, request.partition_key) == (f"drift-{group}-{attempt}", FIRST)
        because = f"attempt {attempt} of 3, the run before died of: {DIED} (run {run_id})"
        assert request.tags["ml_platform/reason"] == because
        assert request.tags["ml_platform/evidence"] == "passengers 1.25, hour 0.50"
        assert watching.newest().because == because
    last = _die(watching, request)
    assert [watching.tick() for _ in range(3)] == [[], [], []]
    assert watching.decisions() == [("retrain_requested", FIRST)] * 3 + [("retrain_declined", FIRST)]
    assert watching.newest().because == f"given up after 3 runs that died, the last one of: {DIED} (run {last})"
    watching.drift(_report(SECOND, is_drifted=True))
    assert [each.partition_key for each in watching.tick()] == [SECOND]


def test_an_outage_gets_time_to_end(watching: Watch) -> None:
    """It died a moment ago: not yet."""
    watching.drift(_report(FIRST, is_drifted=True))
    [request] = watching.tick()
    _die(watching, request)
    assert watching.tick() == []
    assert watching.decisions() == [("retrain_requested", FIRST)]


@pytest.mark.usefixtures("impatient")
def test_a_retrain_that_somebody_canceled_is_not_requested_again(watching: Watch) -> None:
    watching.drift(_report(FIRST, is_drifted=True))
    [request] = watching.tick()
    _die(watching, request, dg.DagsterRunStatus.CANCELED)
    assert watching.tick() == []


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("writes", "is_requested"),
    [
        ([("evaluated", "fail")], False),  # refused: that is its result
        ([("evaluated", "inconclusive")], False),
        ([("evaluated", "pass")], True),  # died before the endpoint followed
        ([("evaluated", "pass"), ("promoted", "")], False),
        ([("evaluated", "pass"), ("promotion_refused", "")], False),
        ([("evaluated", "fail"), ("evaluated", "pass")], True),
    ],
)
def test_a_retrain_is_dead_only_before_its_result(
    watching: Watch, writes: list[tuple[DecisionKind, str]], is_requested: bool
) -> None:
    watching.drift(_report(FIRST, is_drifted=True))
    [request] = watching.tick()
    for kind, outcome in writes:
        verdicts = {"verdicts": [{"outcome": outcome}]} if outcome else {"digest": "e"}
        watching.write(kind, {"as_of": FIRST} | verdicts)
    _die(watching, request)
    assert bool(watching.tick()) is is_requested


@pytest.mark.usefixtures("impatient")
def test_a_dead_retrain_of_a_former_champion_is_not_requested_again(watching: Watch) -> None:
    watching.drift(_report(FIRST, is_drifted=True))
    [request] = watching.tick()
    _die(watching, request)
    watching.write("promoted", {"digest": "e", "as_of": FOURTH})
    assert watching.tick() == []


@pytest.mark.usefixtures("impatient")
def test_an_attempt_that_a_dead_tick_wrote_down_is_launched(watching: Watch) -> None:
    """The tick died between the ledger and the launch: the same run key again, and no new decision."""
    watching.drift(_report(FIRST, is_drifted=True))
    [request] = watching.tick()
    _die(watching, request)
    first = watching.tick(is_kept=False)
    written = watching.ledger.read("tiny")
    assert [each.run_key for each in watching.tick()] == [each.run_key for each in first]
    assert watching.ledger.read("tiny") == written


def test_a_repeated_tick_asks_the_same_and_writes_nothing(watching: Watch) -> None:
    """The tick died before Dagster kept its cursor: run key and ledger are as they were."""
    watching.drift(*[_report(key, is_drifted=True) for key in (FIRST, "2020-01-24")])
    watching.drift(_report(THIRD, is_drifted=False))
    watching.drift(_report(FOURTH, is_drifted=True))
    first = watching.tick(is_kept=False)
    written = watching.ledger.read("tiny")
    again = watching.tick()
    assert [(each.run_key, each.partition_key, each.tags) for each in again] == [
        (each.run_key, each.partition_key, each.tags) for each in first
    ]
    assert watching.ledger.read("tiny") == written
    assert watching.tick() == []


@pytest.mark.parametrize(
    "report",
    [
        None,
        {"outcome": "drifted"},
        _report(SECOND, is_drifted=True).model_copy(update={"as_of": "soon"}).model_dump(mode="json"),
    ],
)
def test_what_is_no_report_is_skipped(watching: Watch, report: dict[str, Any] | None) -> None:
    """Reported by hand in the UI, of another version, of no day: the reports before and after it are decided on."""
    watching.drift(_report(FIRST, is_drifted=False))
    metadata = {} if report is None else {"report": report}
    watching.instance.report_runless_asset_event(
        dg.AssetMaterialization(["tiny", "drift"], partition=SECOND, metadata=metadata)
    )
    watching.drift(_report(THIRD, is_drifted=True))
    assert [request.partition_key for request in watching.tick()] == [THIRD]
    assert watching.decisions() == [("retrain_declined", FIRST), ("retrain_requested", THIRD)]
    assert watching.tick() == []


def test_a_cursor_that_was_emptied_starts_from_now(watching: Watch) -> None:
    """As the first tick does; the UI leaves an empty text."""
    watching.drift(_report(FIRST, is_drifted=True))
    watching.cursor = ""
    assert watching.tick() == []
    assert watching.decisions() == []
    assert watching.cursor


class Shared(InMemoryLedger):
    """A ledger to which somebody else writes after each reading, a few times."""

    writes = 0
    reads = 0

    def read(self, pipeline: str, after: int = 0) -> list[Decision]:
        """Read, count, and let the other one write."""
        decisions = list(super().read(pipeline, after))
        self.reads += 1
        if self.writes:
            self.writes -= 1
            self.append(pipeline, "evaluated", expected_seq=len(decisions) + 1, actor="other", because="a test")
        return decisions


def test_a_tick_reads_the_ledger_once(watch: Watch) -> None:
    """However many reports there are: each reading verifies the whole chain, and a tick has 60 s."""
    watch.ledger = ledger = Shared()
    watch.tick()
    watch.drift(*[_report(f"2020-01-{day}", is_drifted=True) for day in range(20, 31)], backfill="b")
    before = ledger.reads
    watch.tick()
    assert ledger.reads == before + 1
    assert len(watch.decisions()) == 11


def test_a_tick_that_another_writer_overtook_fails_and_is_repeated(watch: Watch) -> None:
    """It decided on what was no longer so."""
    watch.ledger = ledger = Shared()
    watch.write("promoted", {"digest": "d", "as_of": CHAMPION})
    watch.tick()
    watch.drift(_report(FIRST, is_drifted=True))
    ledger.writes = 1
    with pytest.raises(LedgerConflict, match="read again and decide again"):
        watch.tick()
    [request] = watch.tick()
    assert request.partition_key == FIRST


def test_a_data_fault_asks_for_no_retrain(world: World, watching: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quality before drift: of two drifted windows, the one that lacks a day is declined; its check warns too."""
    monkeypatch.setenv(FAULTS, faults(drifted=["2020-01-30", LAST]))
    assert world.run("data", "2020-01-30", LAST).success
    for as_of, outcome in (("2020-02-02", "inconclusive"), ("2020-02-01", "drifted")):
        result = world.run("monitor", as_of)
        [found] = result.asset_materializations_for_node("tiny__drift")
        assert found.metadata["outcome"].value == outcome
        assert [each.passed for each in result.get_asset_check_evaluations()] == [False]
        watching.instance.report_runless_asset_event(found)
        asked = [request.partition_key for request in watching.tick()]
        assert asked == ([as_of] if outcome == "drifted" else [])
    declined = next(each for each in watching.ledger.read("tiny") if each.kind == "retrain_declined")
    assert declined.because.startswith("the report is inconclusive: data fault: no rows in 2020-02-01;")


class Dying(InMemoryLedger):
    """A ledger whose process dies right after the first request is written."""

    is_armed = True

    def append(self, pipeline: str, kind: DecisionKind, **fields: Any) -> Decision:
        """Write, and die."""
        decision = super().append(pipeline, kind, **fields)
        if kind == "retrain_requested" and self.is_armed:
            self.is_armed = False
            raise KeyboardInterrupt
        return decision


def test_a_tick_that_died_after_writing_still_launches(watch: Watch) -> None:
    """What the ledger says was asked for is asked for, also when another report came in between."""
    watch.ledger = Dying()
    watch.write("promoted", {"digest": "d", "as_of": CHAMPION})
    watch.tick()
    run_id = watch.drift(_report(FIRST, is_drifted=True))
    with pytest.raises(KeyboardInterrupt):
        watch.tick()
    watch.drift(_report(SECOND, is_drifted=True))
    [request] = watch.tick()
    assert (request.run_key, request.partition_key) == (f"drift-{run_id}", FIRST)
    assert watch.decisions() == [("retrain_requested", FIRST), ("retrain_declined", SECOND)]
