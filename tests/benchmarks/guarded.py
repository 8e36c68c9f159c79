"""The cost of access control: a second server of the same kind over the same tree, with access control."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import bcrypt
import yaml

from tests.benchmarks.content import REPOSITORY
from tests.benchmarks.measuring import Target, under_load
from tests.benchmarks.peers import Server, new_site
from tests.benchmarks.tools import Address
from tests.integration.token_server import TokenServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.benchmarks.measuring import Measurement
    from tests.benchmarks.peers import Site
    from tests.benchmarks.tools import Load

_USER, _PASSWORD = "bench", "secret"
_BASIC = "Basic " + base64.b64encode(f"{_USER}:{_PASSWORD}".encode()).decode()
_COST = 10
"""Of bcrypt: what the Go registry writes, and most tools."""

Headers = dict[str, str]


def with_password(get: Callable[[Target, Headers], Load], target: Target) -> Measurement:
    """Measure `get` with a user and a password in every request."""
    htpasswd = target.scratch / "htpasswd"
    htpasswd.write_text(f"{_USER}:{bcrypt.hashpw(_PASSWORD.encode(), bcrypt.gensalt(_COST)).decode()}\n")
    section = {"htpasswd": {"realm": "bench", "path": str(htpasswd)}}
    return _measure(get, target, section, {"Authorization": _BASIC})


def with_token(get: Callable[[Target, Headers], Load], target: Target) -> Measurement:
    """Measure `get` with a token of a separate token service in every request."""
    with TokenServer({_USER: (_PASSWORD, {"pull"})}, target.scratch) as tokens:
        return _measure(get, target, {"token": tokens.section}, {"Authorization": f"Bearer {_token(tokens)}"})


def _token(tokens: TokenServer) -> str:
    status, body = tokens.answer(_BASIC, {"scope": [f"repository:{REPOSITORY}:pull"]})
    assert status == 200, body
    return str(body["token"])


def _measure(
    get: Callable[[Target, Headers], Load], target: Target, section: Mapping[str, Any], headers: Headers
) -> Measurement:
    peer = target.server.peer

    def configuration(site: Site) -> str:
        document: dict[str, Any] = yaml.safe_load(peer.configuration(site))
        return yaml.safe_dump({**document, "auth": section})

    site = new_site(target.scratch / "guarded", behind=False)
    site.root.symlink_to(target.server.site.root)
    server = Server(replace(peer, configuration=configuration, door=401), site).start()
    try:
        address = Address("127.0.0.1", site.port)
        guarded = Target(server, address, (server.pid,), target.samples, target.scratch)
        return replace(under_load(lambda each: get(each, headers))(guarded), apart=True)
    finally:
        server.stop()
        site.root.unlink()
