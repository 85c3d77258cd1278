"""One LightGBM over two workers, by Ray and by Dask: as good as on one machine, and no process is left behind."""

from collections.abc import Iterator

import numpy as np
import psutil
import pytest

from ml_platform.contracts.errors import WorkerLost
from ml_platform.training.boosting import Boosting, Part, boost
from ml_platform.training.dask_workers import dask_workers
from ml_platform.training.distributed import boost_over
from ml_platform.training.ray_cluster import connected
from ml_platform.training.ray_workers import ray_workers
from ml_platform.training.workers import Workers
from ml_platform_tests.training.clusters import RAY_QUIET
from ml_platform_tests.training.faults import kill_first, process_of, refuse_first

pytestmark = [pytest.mark.slow, *RAY_QUIET]

PARAMS = {
    "objective": "binary",
    "metric": "binary_logloss",
    "num_leaves": 15,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "seed": 7,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
BOOSTING = Boosting(PARAMS, ["road", "hour", "wind", "noise"], ["road"], rounds=300, patience=20)
OPENERS = {"ray": ray_workers, "dask": dask_workers}


def _part(count: int, seed: int, weights: bool = False) -> Part:
    rng = np.random.default_rng(seed)
    features: np.ndarray = np.column_stack(
        [rng.integers(0, 6, count).astype(float), rng.uniform(0, 24, count), rng.normal(size=(count, 2))]
    )
    chance = 0.1 + 0.4 * (features[:, 0] % 3 == 1) + 0.3 * (features[:, 1] > 17) + 0.1 * (features[:, 2] > 1)
    labels = (rng.random(count) < chance).astype(float)
    return Part(features, labels, np.where(labels == 1, 3.0, 1.0) if weights else None)


TRAIN, VALIDATION = _part(12_000, 1), _part(4_000, 2)


def _left(started: list[psutil.Process]) -> list[psutil.Process]:
    return psutil.wait_procs(started, timeout=10)[1]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Start one Ray cluster for all tests here, as it is slow to start; nothing of it is left when they are over."""
    with connected(None, cpus=4):
        yield
        alive = [each for each in psutil.Process().children(recursive=True) if each.status() != psutil.STATUS_ZOMBIE]
        started = [each for each in alive if "ray" in " ".join(each.cmdline())]
    assert started
    assert not _left(started)


@pytest.fixture(scope="module", params=sorted(OPENERS))
def workers(request: pytest.FixtureRequest) -> Iterator[Workers]:
    """Give two workers of each engine."""
    with OPENERS[request.param](None, 2, 1) as found:
        yield found


def test_two_workers_do_as_well_as_one_machine(workers: Workers) -> None:
    """The validation loss is the same within half a percent, and that of the text is the one that was told."""
    alone = boost(BOOSTING, TRAIN, VALIDATION)
    told: list[tuple[int, float]] = []
    together = boost_over(workers, 1, BOOSTING, TRAIN, VALIDATION, lambda number, loss: told.append((number, loss)))
    assert together.loss == pytest.approx(alone.loss, rel=0.005)
    assert together.rounds == int(np.argmin(together.history)) + 1 < len(together.history) < BOOSTING.rounds
    assert told == list(enumerate(together.history, 1))
    predicted = np.asarray(together.booster.predict(VALIDATION.features))
    loss = -np.mean(np.log(np.where(VALIDATION.labels == 1, predicted, 1 - predicted)))
    assert loss == pytest.approx(together.loss, abs=1e-9)


def test_both_shares_of_the_rows_are_learned_from(workers: Workers) -> None:
    """The model knows how many rows there were: all of them, and not a worker's half."""
    trees = boost_over(workers, 1, BOOSTING, TRAIN, VALIDATION).booster.trees_to_dataframe()
    assert trees["count"].max() == pytest.approx(0.7 * len(TRAIN.labels), rel=0.05)  # the bagging fraction


def test_the_same_rows_give_the_same_text_on_whatever_ports(workers: Workers) -> None:
    first, second = (boost_over(workers, 1, BOOSTING, TRAIN, VALIDATION).text for _ in range(2))
    assert first == second
    assert "127.0.0.1" not in first
    assert "[num_machines: 2]" in first


def test_weights_travel_with_their_rows(workers: Workers) -> None:
    train, validation = _part(12_000, 1, weights=True), _part(4_000, 2, weights=True)
    alone, together = boost(BOOSTING, train, validation), boost_over(workers, 1, BOOSTING, train, validation)
    assert together.loss == pytest.approx(alone.loss, rel=0.005)
    assert together.loss != pytest.approx(boost(BOOSTING, TRAIN, VALIDATION).loss, rel=0.05)


@pytest.mark.parametrize(
    "more",
    [{"objective": "quantile", "metric": "quantile", "alpha": 0.9}, {"objective": "multiclass", "num_class": 3}],
    ids=["quantile", "multiclass"],
)
def test_other_losses_are_as_good_too(workers: Workers, more: dict[str, object]) -> None:
    boosting = Boosting({**PARAMS, "metric": "multi_logloss", **more}, BOOSTING.columns, ["road"], 300, 20)
    train, validation = (
        Part(part.features, part.labels + (part.features[:, 1] > 20 if "num_class" in more else part.features[:, 2]))
        for part in (TRAIN, VALIDATION)
    )
    alone, together = boost(boosting, train, validation), boost_over(workers, 1, boosting, train, validation)
    assert together.loss == pytest.approx(alone.loss, rel=0.03)  # of a quantile, leaves are means of shares' quantiles


def test_a_monotone_feature_stays_monotone(workers: Workers) -> None:
    """Though the workers see other rows each."""
    boosting = Boosting({**PARAMS, "monotone_constraints": [0, -1, 0, 0]}, BOOSTING.columns, ["road"], 50, 20)
    booster = boost_over(workers, 1, boosting, TRAIN, VALIDATION).booster
    asked = np.tile(VALIDATION.features[:1], (100, 1))
    asked[:, 1] = np.linspace(0, 24, 100)
    assert (np.diff(np.asarray(booster.predict(asked))) <= 0).all()


@pytest.mark.parametrize("engine", sorted(OPENERS))
def test_a_worker_that_dies_ends_the_fit_and_leaves_no_worker(engine: str) -> None:
    """The other one, which still waits for it, is ended."""
    with OPENERS[engine](None, 2, 1) as workers:
        started = [psutil.Process(pid) for pid in workers.each(process_of, [0, 1])]
        with pytest.raises(WorkerLost, match="worker 1 of 2"):
            workers.each(kill_first, [0, 1])
    assert len(set(started)) == 2
    assert not _left(started)


@pytest.mark.parametrize("engine", sorted(OPENERS))
def test_what_a_worker_raises_is_raised_here(engine: str) -> None:
    with pytest.raises(ValueError, match="an odd one"), OPENERS[engine](None, 2, 1) as workers:
        workers.each(refuse_first, [0, 1])
