"""What is wrong with a cluster or its package is said at once and clearly, before anything is started."""

import sys
from contextlib import AbstractContextManager
from typing import Any

import pytest

from ml_platform.contracts.errors import ClusterUnreachable, SpecError
from ml_platform.training.dask_workers import dask_workers
from ml_platform.training.ray_cluster import connected
from ml_platform.training.ray_workers import ray_workers

PACKAGES = {"ray": "ray", "dask": "distributed"}


def _open(engine: str, address: str | None) -> AbstractContextManager[Any]:
    return {"ray": ray_workers, "dask": dask_workers}[engine](address, 2, 1)


@pytest.mark.parametrize("engine", sorted(PACKAGES))
def test_a_package_that_is_not_installed_is_named_with_its_extra(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGES[engine], None)
    wanted = rf"got no package {PACKAGES[engine]}, .* pip install 'ml-platform\[{engine}\]'"
    with pytest.raises(SpecError, match=wanted), _open(engine, None):
        pass


@pytest.mark.parametrize(
    ("engine", "address"), [("ray", "127.0.0.1:9"), ("ray", "ray://127.0.0.1:9"), ("dask", "tcp://127.0.0.1:9")]
)
def test_a_cluster_that_does_not_answer_is_refused(engine: str, address: str) -> None:
    wanted = rf"cluster at {address}: got .*refused.*, expected .*mend \$ML_PLATFORM_{engine.upper()}_ADDRESS"
    with pytest.raises(ClusterUnreachable, match=wanted), _open(engine, address):
        pass


@pytest.mark.parametrize("address", ["", "nowhere", "127.0.0.1:", "127.0.0.1:port", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ClusterUnreachable, match="expected host:port"), connected(address, 1):
        pass
