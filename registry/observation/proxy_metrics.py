"""Metrics of a cache of other registries: those of the Go registry, for all upstreams together, and ours for each.

It is what registry.upstream.meter and the rooms that cache report to. No label holds a repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_TYPES: Final = ("blob", "manifest")
_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_OUTCOMES: Final = ("stored", "failed", "uncached")


class ProxyMetrics:
    """Counts in this process for the upstreams called so; made after registry.observation.metrics.Metrics, once.

    All begins at zero, as in the Go registry, so that a rate is known from the first request on.
    """

    def __init__(self, upstreams: Iterable[str]) -> None:
        from prometheus_client import Counter, Gauge, Histogram  # noqa: PLC0415  not loaded where metrics are off

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"registry_proxy_{name}", text, labels, registry=None)

        def gauge(name: str, text: str, mode: str = "livesum") -> Gauge:
            return Gauge(f"registry_proxy_{name}", text, ["upstream"], registry=None, multiprocess_mode=mode)  # type: ignore[arg-type]

        self._requests = counter("requests_total", "Blobs and manifests that were asked for", "type")
        self._hits = counter("hits_total", "Those that were here", "type")
        self._misses = counter("misses_total", "Those that were not", "type")
        self._pulled = counter("pulled_bytes_total", "Bytes that came from upstreams", "type")
        self._pushed = counter("pushed_bytes_total", "Bytes for clients", "type")
        self._asked = counter("upstream_requests_total", "Requests to upstreams by status", "upstream", "code")
        self._seconds = Histogram(
            "registry_proxy_upstream_seconds",
            "Time from a request to an upstream to the head of its answer",
            ["upstream"],
            registry=None,
            buckets=_SECONDS,
        )
        self._fills = gauge("fills_in_flight", "Blobs that are being fetched")
        self._filled = counter("fills_total", "Blobs that were fetched, by what became of them", "upstream", "outcome")
        self._followers = gauge("followers", "Clients that read a blob while it comes")
        self._stale = counter("stale_total", "Answers that were not known to hold, as the upstream failed", "upstream")
        # Each process has a circuit of its own, and what an upstream has said last counts.
        self._open = gauge("circuit_open", "Whether the upstream is asked no more for a while", "livemax")
        self._left = gauge("ratelimit_remaining", "Pulls that are left, as the upstream says", "livemostrecent")
        self._pulled_of = {each: self._pulled.labels(each) for each in _TYPES}
        self._served = {
            (each, hit): (self._requests.labels(each), total.labels(each), self._pushed.labels(each))
            for each in _TYPES
            for hit, total in ((True, self._hits), (False, self._misses))
        }
        """What counts each kind of answer: to look for a label costs as much as to count."""
        for name in upstreams:
            self._seconds.labels(name)
            for value in (self._fills, self._followers, self._stale, self._open):
                value.labels(name)
            for outcome in _OUTCOMES:
                self._filled.labels(name, outcome)

    def served(self, kind: str, size: int, *, hit: bool) -> None:
        """Count a blob or a manifest, `kind`, of so many bytes for a client; `hit` says that it was here already."""
        requests, found, pushed = self._served[kind, hit]
        requests.inc()
        found.inc()
        pushed.inc(size)

    def pulled(self, kind: str, size: int) -> None:
        """Count bytes of blobs or manifests that came from an upstream."""
        self._pulled_of[kind].inc(size)

    def asked(self, upstream: str, code: str, seconds: float) -> None:
        """Count a request to an upstream: the status of its answer, or "error", and how long its head took."""
        self._asked.labels(upstream, code).inc()
        self._seconds.labels(upstream).observe(seconds)

    def limited(self, upstream: str, remaining: int) -> None:
        """Say how many pulls an upstream has left, as it says."""
        self._left.labels(upstream).set(remaining)

    def circuit(self, upstream: str, *, is_open: bool) -> None:
        """Say whether an upstream is asked no more for a while."""
        self._open.labels(upstream).set(int(is_open))

    def fill_began(self, upstream: str) -> None:
        """Count in a blob that is being fetched."""
        self._fills.labels(upstream).inc()

    def fill_ended(self, upstream: str, outcome: str) -> None:
        """Count it out, `outcome` is stored, failed or uncached."""
        self._fills.labels(upstream).dec()
        self._filled.labels(upstream, outcome).inc()

    def followed(self, upstream: str, clients: int) -> None:
        """Say that so many more clients, or fewer, read a blob while it comes."""
        self._followers.labels(upstream).inc(clients)

    def stale(self, upstream: str) -> None:
        """Count an answer from here that the upstream, which failed, was to confirm."""
        self._stale.labels(upstream).inc()
