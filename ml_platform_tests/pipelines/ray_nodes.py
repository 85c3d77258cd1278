"""A Ray cluster of the suite's own: a head without CPUs and two nodes with one each, on this machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

__all__ = ["RayNodes", "ray_nodes"]

STORE_BYTES = 100 * 2**20


@dataclass(frozen=True)
class RayNodes:
    """A running cluster; each node has a raylet and workers of its own."""

    cluster: Any

    @property
    def address(self) -> str:
        """Where its head listens, as `$ML_PLATFORM_RAY_ADDRESS` takes it."""
        return self.cluster.address

    def add(self) -> Any:
        """Add a node with one CPU."""
        return self.cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)

    def kill(self, node: Any) -> None:
        """End a node and its workers without a word."""
        self.cluster.remove_node(node, allow_graceful=False)


@pytest.fixture(scope="module")
def ray_nodes() -> Iterator[RayNodes]:
    """Start a cluster of two workers; it is stopped at the end."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE_BYTES}
        nodes = RayNodes(Cluster(initialize_head=True, head_node_args=head))
        try:
            nodes.add()
            nodes.add()
            yield nodes
        finally:
            nodes.cluster.shutdown()
