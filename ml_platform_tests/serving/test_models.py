"""The loaded versions: what the ledger and the online store say is taken up, what is damaged is not."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from ml_platform.contracts.errors import LedgerDamaged, RequestRejected
from ml_platform.contracts.home import Home
from ml_platform.contracts.records import Decision
from ml_platform.features.online import OnlineStore
from ml_platform.features.window_plan import HistoryPlan, WindowPlan
from ml_platform.ledger.store import SqlLedger
from ml_platform.serving import models
from ml_platform.serving.models import ModelTable
from ml_platform_tests.fakes.bundles import (
    PIPELINE,
    PLAN,
    SIGNATURE,
    deploy,
    make_bundle,
    make_lookups,
    make_rows,
    promote,
    to_arrow,
)

ROWS = make_rows(20, 3).select(field.name for field in SIGNATURE)


class BrokenLedger(SqlLedger):
    """A ledger that can be broken and mended."""

    is_broken = False

    def read(self, pipeline: str, after: int = 0) -> list[Decision]:
        """Read, unless it is broken."""
        if self.is_broken:
            raise LedgerDamaged("broken")
        return super().read(pipeline, after)


def _versions(table: ModelTable) -> list[int]:
    return [model.version for model in table.versions(PIPELINE)]


def _metric(table: ModelTable, line: str) -> bool:
    return line in table.metrics.to_text().decode()


def test_champion_and_the_one_before_are_loaded(home: Home, ledger: SqlLedger, table: ModelTable) -> None:
    """A promotion is taken up, the champion answers by default, older versions leave, a rollback returns."""
    loaded = table.find(PIPELINE)
    promote(ledger, 2, deploy(home, 1))
    table.refresh()
    assert _versions(table) == [2, 1]
    assert table.find(PIPELINE, 1) is loaded
    promote(ledger, 3, deploy(home, 2))
    table.refresh()
    assert _versions(table) == [3, 2]
    promote(ledger, 2, deploy(home, 1))
    table.refresh()
    assert _versions(table) == [2, 3]
    assert _metric(table, 'ml_platform_loaded_version{pipeline="parcels"} 2.0')


def test_empty_home_has_no_models(home: Home, ledger: SqlLedger) -> None:
    """A server starts before the first model; nothing is made on disk."""
    table = ModelTable(home, ledger)
    table.refresh()
    assert table.pipelines() == []
    assert list(home.root.iterdir()) == []
    with pytest.raises(RequestRejected, match="expected one that is loaded: none yet"):
        table.find(PIPELINE)


def test_changed_bundle_is_refused(
    home: Home, ledger: SqlLedger, table: ModelTable, caplog: pytest.LogCaptureFixture
) -> None:
    """A hash that does not match keeps the last good version; counted each time, logged once, and it can be mended."""
    bundle = deploy(home, 1)
    model = bundle.root / "model.txt"
    whole = model.read_bytes()
    model.write_bytes(whole.replace(b"leaf_value", b"leaf_Value", 1))
    promote(ledger, 2, bundle)
    with caplog.at_level(logging.ERROR):
        table.refresh()
        table.refresh()
    assert _versions(table) == [1]
    assert len(table.find(PIPELINE).score(ROWS)[0]) == 20
    assert _metric(table, 'ml_platform_refresh_faults_total{kind="bundle"} 2.0')
    assert [record.message.count("model.txt") for record in caplog.records] == [1]
    model.write_bytes(whole)
    table.refresh()
    assert _versions(table) == [2, 1]


def test_bundle_of_another_digest_is_refused(home: Home, ledger: SqlLedger, table: ModelTable) -> None:
    """A sound bundle in the place of the promoted one is not what was judged."""
    bundle, other = deploy(home, 1), deploy(home, 2)
    for path in other.root.iterdir():
        if path.is_file():
            (bundle.root / path.name).write_bytes(path.read_bytes())
    promote(ledger, 2, bundle)
    table.refresh()
    assert _versions(table) == [1]


def test_bundle_that_cannot_run_is_refused(home: Home, ledger: SqlLedger, table: ModelTable) -> None:
    """Feature code that fails is found when the version is loaded, not by the first caller."""
    files = {"features__py": b"def build(frame): return frame.no_such_method()"}
    digest = make_bundle(home.root / "built", 1, **files).digest
    promote(ledger, 2, make_bundle(home.bundles / PIPELINE / digest, 1, **files))
    table.refresh()
    assert _versions(table) == [1]


def test_missing_bundle_keeps_the_last(home: Home, ledger: SqlLedger, table: ModelTable) -> None:
    """A promotion ahead of its deployment waits; if it comes, it is taken up."""
    bundle = deploy(home, 1)
    bundle.root.rename(home.root / "aside")
    promote(ledger, 2, bundle)
    table.refresh()
    assert _versions(table) == [1]
    (home.root / "aside").rename(bundle.root)
    table.refresh()
    assert _versions(table) == [2, 1]


def test_unreachable_ledger_keeps_the_table(home: Home) -> None:
    """A ledger that fails, and one whose file is gone, change nothing."""
    ledger = BrokenLedger(home.ledger_url)
    promote(ledger, 1, deploy(home))
    table = ModelTable(home, ledger)
    table.refresh()
    ledger.is_broken = True
    table.refresh()
    assert _versions(table) == [1]
    assert _metric(table, 'ml_platform_refresh_faults_total{kind="ledger"} 1.0')
    ledger.is_broken = False
    for path in home.root.glob("ledger.db*"):
        path.unlink()
    table.refresh()
    assert _versions(table) == [1]


def test_replaced_ledger_is_read_anew(home: Home, table: ModelTable) -> None:
    """What was remembered of a ledger that is no more does not hide the decisions of the new one."""
    table._ledger = SqlLedger(f"sqlite:///{home.root / 'new.db'}")
    promote(table._ledger, 7, deploy(home, 1))
    table.refresh()
    assert _versions(table) == [7]


def test_online_lookup_goes_before_the_snapshot(home: Home, table: ModelTable) -> None:
    """New measurements change features without a restart, and only what was known at the event time."""
    before, _ = table.find(PIPELINE).score(ROWS)
    icy = make_lookups(ice=5.0)["road"]
    OnlineStore(home.online).publish(PIPELINE, "road", icy)
    table.refresh()
    model = table.find(PIPELINE)
    features = model.predictor.plan.transform(ROWS, model.lookups)
    assert features["road_ice"].drop_nulls().gt(4).all()
    assert features["road_ice"].null_count() < 20
    assert len(before) == len(model.score(ROWS)[0])
    assert table.find(PIPELINE) is model


@pytest.mark.parametrize("fault", ["type", "column", "key", "bytes"])
def test_wrong_online_lookup_keeps_the_last(home: Home, table: ModelTable, fault: str) -> None:
    """Another type or column, a doubled key or damaged bytes are counted and not joined."""
    lookups = make_lookups()
    wrong = {
        "type": lookups["depot"].with_columns(pl.col("size").cast(pl.String)),
        "column": lookups["depot"].drop("size"),
        "key": pl.concat([lookups["depot"]] * 2),
        "bytes": lookups["depot"],
    }[fault]
    OnlineStore(home.online).publish(PIPELINE, "depot", wrong)
    if fault == "bytes":
        Path(home.online / PIPELINE / "depot.arrow").write_bytes(b"ARROW1")
    expected = table.find(PIPELINE).score(ROWS)[0].tolist()
    table.refresh()
    table.refresh()
    assert table.find(PIPELINE).score(ROWS)[0].tolist() == expected
    assert _metric(table, 'ml_platform_refresh_faults_total{kind="lookup"} 1.0')


WINDOWS = HistoryPlan(
    key=("parcel_id",), event_time="asked_at", inputs=("carrier",), known_at=None, known_after=timedelta(hours=1),
    corrected=False, timezone="UTC",
    windows=(WindowPlan("late_share", ("carrier",), "share", "is_late", timedelta(days=20), None, None, True),),
)  # fmt: skip


@pytest.fixture
def windowed(home: Home, ledger: SqlLedger, table: ModelTable) -> ModelTable:
    """Give a table whose champion looks at the past."""
    plan = replace(PLAN, history=WINDOWS, columns=(*PLAN.columns, "late_share"))
    files = {
        "features__json": json.dumps(plan.to_json()).encode(),
        "lookups/history__arrow": to_arrow(make_rows(90, 5)),
    }
    digest = make_bundle(home.root / "built", 1, **files).digest
    promote(ledger, 2, make_bundle(home.bundles / PIPELINE / digest, 1, **files))
    table.refresh()
    return table


def _late_shares(table: ModelTable) -> pl.Series:
    model = table.find(PIPELINE)
    assert model.version == 2
    return model.predictor.plan.transform(ROWS, model.lookups)["late_share"].drop_nulls()


def test_a_published_history_goes_before_the_snapshot(home: Home, windowed: ModelTable) -> None:
    """The next refresh takes it up, whole; a version without windows does not look at it."""
    assert not _late_shares(windowed).is_in([0.0, 1.0]).all()
    OnlineStore(home.online).publish(PIPELINE, "history", make_rows(90, 5).with_columns(is_late=True))
    windowed.refresh()
    assert (_late_shares(windowed) == 1).all()
    assert len(_late_shares(windowed)) > 10
    assert "history" not in windowed.find(PIPELINE, 1).lookups


@pytest.mark.parametrize("fault", ["type", "column"])
def test_a_wrong_history_keeps_the_last(home: Home, windowed: ModelTable, fault: str) -> None:
    """Another type or a column that is not there is counted, and predictions stay."""
    past = make_rows(90, 5)
    wrong = past.drop("is_late") if fault == "column" else past.with_columns(pl.col("parcel_id").cast(pl.String))
    expected = _late_shares(windowed)
    OnlineStore(home.online).publish(PIPELINE, "history", wrong)
    windowed.refresh()
    assert _late_shares(windowed).equals(expected)
    assert _metric(windowed, 'ml_platform_refresh_faults_total{kind="lookup"} 1.0')


class BrokenOnline(OnlineStore):
    """An online store that fails in ways nobody foresaw, until it is mended."""

    fault: type[BaseException] | None = RuntimeError

    def read(self, pipeline: str, lookup: str) -> pl.DataFrame | None:
        """Read, unless it is broken."""
        if self.fault:
            raise self.fault("unforeseen")
        return super().read(pipeline, lookup)


@pytest.mark.parametrize("fault", [RuntimeError, pl.exceptions.PanicException])
def test_thread_outlives_whatever_a_refresh_meets(
    home: Home,
    ledger: SqlLedger,
    fault: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At the start too: it is counted and logged once, and what comes after it is taken up."""
    monkeypatch.setattr(models, "REFRESH_EVERY_S", 0.01)
    promote(ledger, 1, deploy(home))
    table = ModelTable(home, ledger)
    table._online = online = BrokenOnline(home.online)
    online.fault = fault
    with caplog.at_level(logging.ERROR):
        table.start()
        try:
            _wait_until(lambda: _metric(table, 'ml_platform_refresh_faults_total{kind="refresh"} 3.0'))
            assert table.pipelines() == []
            online.fault = None
            _wait_until(lambda: table.pipelines() == [PIPELINE])
        finally:
            table.stop()
    assert [record.message.count("unforeseen") for record in caplog.records] == [1]


def _wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)
