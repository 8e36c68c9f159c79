from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.commands.upstreams import examine_upstreams
from tests.config.forms import configure
from tests.upstreams import registry
from tests.upstreams.faults import reset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.doctor.findings import Finding
    from tests.upstreams import Registry


@pytest.fixture
def upstream() -> Iterator[Registry]:
    with registry() as served:
        yield served


def found(url: str, auth: str = "{}") -> Finding:
    network = "network: {httpproxy: none, private: allow, answertimeout: 2s}"
    configuration = configure(f"proxies: [{{name: up, remoteurl: '{url}', auth: {auth}, {network}}}]")
    asked: list[str] = []
    (finding,) = examine_upstreams(configuration, asked.append)
    assert asked == ["asking the upstream up"]
    assert finding.check == "upstream up"
    return finding


def test_without_upstreams_there_is_nothing_to_say() -> None:
    assert list(examine_upstreams(configure(), print)) == []


def test_an_upstream_that_answers_is_in_order(upstream: Registry) -> None:
    assert (found(upstream.url).status, found(upstream.url).found) == ("ok", "it answers")


def test_credentials_are_tried_and_not_shown(upstream: Registry) -> None:
    upstream.login = ("us", "s3cr3t")
    good = found(upstream.url, "{username: us, password: s3cr3t}")
    assert (good.status, good.found) == ("ok", "it answers us")
    bad = found(upstream.url, "{username: us, password: s3cr3t2}")
    assert bad.status == "failure"
    assert "credentials" in bad.advice
    assert "s3cr3t" not in bad.found + bad.advice + good.found


def test_an_upstream_that_does_not_answer_is_a_failure(upstream: Registry) -> None:
    upstream.misbehave(reset())
    assert found(upstream.url).status == "failure"
