from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from registry.config.upstreams import Network
from registry.config.upstreams import Upstream as Settings
from registry.proxy.watching import Watch, jobs
from registry.upstream.client import Upstream
from tests.upstreams import registry
from tests.upstreams.faults import reset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.upstreams import Registry


@pytest.fixture
def served() -> Iterator[Registry]:
    with registry() as serving:
        yield serving


@pytest.fixture
def upstream(served: Registry) -> Iterator[Upstream]:
    network = Network(httpproxy="none", private="allow", answertimeout_seconds=2.0)
    with closing(Upstream(Settings(name="hub", remoteurl=served.url, network=network))) as client:
        yield client


def test_what_changes_is_told_once(served: Registry, upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "registry.proxy.watching")
    watch = Watch(upstream)
    for login in (None, ("user", "password"), None):
        served.login = login
        for _ in range(3):
            watch.run()
    refused, again = caplog.records
    assert refused.levelname == "WARNING"
    assert refused.getMessage().startswith("an upstream cannot be used, what is cached of it is served: hub")
    assert (again.levelname, again.getMessage()) == ("INFO", "upstream hub can be used again")


def test_an_upstream_that_is_down_is_told_of_and_no_failure(
    served: Registry, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    served.misbehave(reset())
    (job,) = jobs([upstream])
    assert job.name == "upstream hub"
    assert job.run() is None
    assert "an upstream cannot be used" in caplog.text
