"""What the server counts about itself, as Prometheus text.

Labels come from loaded pipelines, their columns and a fixed list of routes, never from a request, so their number is
bounded.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from ml_platform.features.encoding import Encoded

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class ServerMetrics:
    """The metrics of one server, in a registry of their own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"ml_platform_{name}", text, labels, registry=self._registry)

        self._requests = counter("requests", "Requests answered.", "pipeline", "route", "status")
        self._rows = counter("rows", "Rows predicted.", "pipeline")
        self._unseen = counter("unseen_categories", "Values outside the training vocabulary.", "pipeline", "column")
        text = "Missing values of columns that were never missing in training."
        self._imputed = counter("imputed_values", text, "pipeline", "column")
        self._faults = counter("refresh_faults", "What a refresh of the loaded versions could not read.", "kind")
        self._latency = Histogram(
            "ml_platform_request_latency_seconds",
            "Time to answer.",
            ("pipeline", "route"),
            registry=self._registry,
            buckets=_BUCKETS_S,
        )
        self._loaded = Gauge("ml_platform_loaded_version", "Default version.", ("pipeline",), registry=self._registry)

    def count_request(self, pipeline: str, route: str, status: int, latency_s: float) -> None:
        """Count one answer; `pipeline` is a loaded one, or empty."""
        self._requests.labels(pipeline, route, str(status)).inc()
        self._latency.labels(pipeline, route).observe(latency_s)

    def count_rows(self, pipeline: str, encoded: Encoded) -> None:
        """Count predicted rows, and by column values outside the vocabulary and values that were imputed."""
        self._rows.labels(pipeline).inc(len(encoded.matrix))
        for column, count in encoded.unseen.items():
            self._unseen.labels(pipeline, column).inc(count)
        for column, count in encoded.imputed.items():
            self._imputed.labels(pipeline, column).inc(count)

    def count_fault(self, kind: str, count: int = 1) -> None:
        """Count what a refresh could not read: `ledger`, `bundle`, `lookup`, or the `refresh` as a whole."""
        self._faults.labels(kind).inc(count)

    def show_version(self, pipeline: str, version: int) -> None:
        """Show which version answers by default."""
        self._loaded.labels(pipeline).set(version)

    def to_text(self) -> bytes:
        """Give the Prometheus text."""
        return generate_latest(self._registry)
