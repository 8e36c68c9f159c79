from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import sys
from registry.observation.metrics import Metrics, exposition

counts = Metrics(sys.argv[1], 0).of_proxies(["hub"])
{calls}
print(exposition(sys.argv[1])("")[1].decode())
"""


def told(directory: Path, *calls: str) -> dict[str, float]:
    """Return the samples of a process that has made those calls. The library can be told its directory but once."""
    program = PROGRAM.format(calls="\n".join(calls))
    done = subprocess.run([sys.executable, "-c", program, str(directory)], capture_output=True, text=True, check=True)
    samples = (line.rsplit(" ", 1) for line in done.stdout.splitlines() if line.startswith("registry_proxy"))
    return {name: float(value) for name, value in samples}


def test_what_the_go_registry_counts_is_zero_from_the_start(tmp_path: Path) -> None:
    samples = told(tmp_path)

    for name in ("requests", "hits", "misses", "pulled_bytes", "pushed_bytes"):
        for kind in ("blob", "manifest"):
            assert samples[f'registry_proxy_{name}_total{{type="{kind}"}}'] == 0
    assert samples['registry_proxy_fills_total{outcome="stored",upstream="hub"}'] == 0
    assert samples['registry_proxy_circuit_open{upstream="hub"}'] == 0


def test_hits_and_misses_are_counted_with_their_bytes(tmp_path: Path) -> None:
    calls = ['counts.served("blob", 10, hit=True)', 'counts.served("blob", 5, hit=False)', 'counts.pulled("blob", 7)']

    samples = told(tmp_path, *calls)

    for name, number in (("requests", 2), ("hits", 1), ("misses", 1), ("pulled_bytes", 7), ("pushed_bytes", 15)):
        assert samples[f'registry_proxy_{name}_total{{type="blob"}}'] == number
        assert samples[f'registry_proxy_{name}_total{{type="manifest"}}'] == 0


def test_each_upstream_is_counted_for_itself(tmp_path: Path) -> None:
    samples = told(
        tmp_path,
        'counts.asked("hub", "200", 0.02)',
        'counts.asked("quay", "error", 3)',
        'counts.fill_began("hub")',
        'counts.fill_began("hub")',
        'counts.fill_ended("hub", "stored")',
        'counts.followed("hub", 3)',
        'counts.followed("hub", -1)',
        'counts.stale("hub")',
        'counts.circuit("quay", is_open=True)',
        'counts.limited("hub", 76)',
    )

    assert samples['registry_proxy_upstream_requests_total{code="200",upstream="hub"}'] == 1
    assert samples['registry_proxy_upstream_requests_total{code="error",upstream="quay"}'] == 1
    assert samples['registry_proxy_upstream_seconds_count{upstream="hub"}'] == 1
    assert samples['registry_proxy_fills_in_flight{upstream="hub"}'] == 1
    assert samples['registry_proxy_fills_total{outcome="stored",upstream="hub"}'] == 1
    assert samples['registry_proxy_followers{upstream="hub"}'] == 2
    assert samples['registry_proxy_stale_total{upstream="hub"}'] == 1
    assert samples['registry_proxy_circuit_open{upstream="quay"}'] == 1
    assert samples['registry_proxy_circuit_open{upstream="hub"}'] == 0
    assert samples['registry_proxy_ratelimit_remaining{upstream="hub"}'] == 76
