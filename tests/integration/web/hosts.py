"""Two hosts behind a proxy with TLS, to which people log in with passwords and at an identity provider."""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.integration.clients import missing, require_program
from tests.integration.clusters import running_cluster, shared_directory
from tests.integration.daemons import Daemon
from tests.integration.proxies import start_nginx
from tests.integration.secrecy import SUITE
from tests.integration.servers import Server, merged, ours
from tests.integration.web.chromium import PROJECT
from tests.integration.web.conftest import PASSWORDS, local_users
from tests.integration.web.gallery import EMPTY, push
from tests.serving import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from playwright.sync_api import Page

    from tests.integration.clusters import Cluster
    from tests.integration.web.chromium import Watched

TEAM: Final = "team/app"
"""A repository for the group of the provider only, and for Anna."""
TAGS: Final = tuple(f"v{number}" for number in range(20))
LABEL: Final = "Corp account"
"""What the provider is called on the page to log in."""
NOBODY: Final = "Old account"
"""What a provider is called that does not answer."""

_LIBRARY: Final = PROJECT / ".npm/node_modules/oidc-provider/lib/index.js"
_SCRIPT: Final = Path(__file__).parents[1] / "oidc_provider.mjs"
_SECRET: Final = "secret-of-the-client"
_BY_CHANCE: Final = {"    keepalive 64;": "    random;\n    keepalive 64;"}
"""Strictly by turns, one host might have each page, and the other what they load."""


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """A provider that is to listen on `port`, and knows of the registry from ``start()`` on."""

    port: int
    daemon: Daemon

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, callback: str) -> None:
        """Start it; browsers come back from it to `callback`."""
        command = (require_program("node"), _SCRIPT, _LIBRARY, str(self.port), callback, _SECRET)
        self.daemon.start(command, self._listens, seconds=60)

    def stop(self) -> None:
        self.daemon.stop(30)

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts, and the provider, which runs."""

    cluster: Cluster
    provider: IdentityProvider

    @property
    def url(self) -> str:
        return f"https://{self.cluster.proxy.host}/ui/"

    @property
    def callback(self) -> str:
        return f"{self.url}_oidc/corp"

    def served(self, request: str) -> list[int]:
        """Give how many requests that begin so each host has answered."""
        return [server.log.count(f'"{request}') for server in self.cluster.servers]

    def newly_served(self, request: str, before: Sequence[int]) -> list[int]:
        """Give how many of them each has answered since there were `before`."""
        return [now - then for now, then in zip(self.served(request), before, strict=True)]


@contextmanager
def two_hosts(directory: Path) -> Iterator[Hosts]:
    """Run them, with something of the team in their storage."""
    if not _LIBRARY.exists():
        missing("oidc-provider, which make .npm/node_modules/axe-core/axe.min.js installs,")
    provider = IdentityProvider(free_port(), Daemon("oidc-provider", directory / "oidc-provider.log"))
    shared = shared_directory(directory / "root")
    filled = Server(ours(), shared.root, directory).start()
    push(filled.api, TEAM, (EMPTY, b"{}"), [], TAGS, artifactType="application/vnd.example.team")
    filled.stop_cleanly()
    start_proxy = partial(start_nginx, root=shared.root, changes=_BY_CHANCE)
    with running_cluster(directory, shared, start_proxy, _settings(directory, provider)) as cluster:
        SUITE.logs.add(cluster.proxy.directory / "nginx-access.log")
        for user, password in PASSWORDS.items():
            SUITE.add_login(user, password)
        hosts = Hosts(cluster, provider)
        provider.start(hosts.callback)
        try:
            yield hosts
        finally:
            provider.stop()


def _settings(directory: Path, provider: IdentityProvider) -> Mapping[str, Any]:
    secret = directory / "secret"
    secret.write_text(_SECRET)
    corp = {
        "name": "corp",
        "label": LABEL,
        "issuer": f"http://{provider.host}",
        "clientid": "registry",
        "clientsecretfile": str(secret),
        "scopes": ["openid", "email", "groups"],
        "map": {"registry-devs": "dev"},
    }
    nobody = {**corp, "name": "old", "label": NOBODY, "issuer": f"http://127.0.0.1:{free_port()}"}
    users = local_users(directory)
    team = {"repositories": "team/**", "group:dev": ["pull"], "user:anna": ["*"]}
    local = merged(
        users,
        {
            "key": str(directory / "key.pem"),
            "apikeys": "storage",
            "rules": [team, *users["rules"]],
            "login": {"oidc": [corp, nobody]},
        },
    )
    return {"auth": {"local": local}, "ui": {"enabled": True}, "http": {"trustedproxies": ["127.0.0.1"]}}


def at_provider(tab: Watched, hosts: Hosts, user: str) -> Page:
    """Go to the provider by the page to log in, and say there who one is: it asks whether the registry may know."""
    page = tab.open("_login")
    page.get_by_role("link", name=f"Log in with {LABEL}").click()
    page.wait_for_url(f"http://{hosts.provider.host}/**")
    page.get_by_placeholder("Enter any login").fill(user)
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").wait_for()
    return page


def note_secrets(page: Page) -> None:
    """Have the suite look in all logs for the cookies of a browser, and for what it brings back from a provider."""
    for cookie in page.context.cookies():
        SUITE.add(cookie["value"])
    page.on("request", lambda request: SUITE.add_callback(request.url))
