from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.config.upstreams import UpstreamAuth
from registry.oci.errors import UpstreamError
from registry.upstream.explaining import explained
from tests.upstreams import faults

if TYPE_CHECKING:
    from pathlib import Path

    from tests.upstream.conftest import Connect
    from tests.upstreams import Registry

USER = UpstreamAuth(username="user", password="word")


def reason(connect: Connect, remote: Registry, auth: UpstreamAuth = USER) -> str:
    with pytest.raises(UpstreamError) as caught:
        connect(remote, auth=auth).check()
    return explained(caught.value)


def test_an_operator_is_told_which_address_does_not_answer(remote: Registry, connect: Connect) -> None:
    remote.url = "http://127.0.0.1:1"
    told = "hub cannot be reached, or does not answer in time: [Errno 111] Connection refused"
    assert reason(connect, remote) == told


def test_an_operator_is_told_which_token_service_to_allow(private: Registry, other: Registry, connect: Connect) -> None:
    private.realm = other.token_url
    told = reason(connect, private)
    assert told.startswith(f"the token service of hub may not be asked: the token service http://{other.host} is of")
    assert told.endswith("add it to auth.realms")


def test_an_operator_is_told_which_file_cannot_be_read(private: Registry, connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("word")
    upstream = connect(private, auth=UpstreamAuth(username="user", passwordfile=str(path)))
    path.unlink()
    with pytest.raises(UpstreamError) as caught:
        upstream.check()
    assert explained(caught.value).startswith(f"the credentials for hub cannot be had: {path}: ")


def test_there_may_be_no_more_to_tell(remote: Registry, connect: Connect) -> None:
    remote.misbehave(faults.status(503))
    assert reason(connect, remote) == "hub answers 503"
