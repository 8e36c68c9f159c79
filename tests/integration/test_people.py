"""People who log in at a directory and at an identity provider, with the programs that they have for it."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from functools import partial
from http.cookiejar import CookieJar
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin
from urllib.request import HTTPCookieProcessor, HTTPSHandler, build_opener

import pytest

from tests.auth.directories import directory_server, needs_slapd
from tests.integration.clients import finish, missing, require_program
from tests.integration.clusters import running_cluster, shared_directory
from tests.integration.daemons import Daemon
from tests.integration.proxies import start_nginx
from tests.integration.secrecy import SUITE
from tests.serving import free_port
from tests.web.visiting import forms_of

if TYPE_CHECKING:
    from tests.integration.conftest import StartServer
    from tests.integration.content import Samples
    from tests.web.visiting import Form

pytestmark = pytest.mark.timeout(300)

LIBRARY = Path(__file__).parents[2] / ".npm/node_modules/oidc-provider/lib/index.js"
RULES = [{"repositories": "team/**", "group:dev": ["pull", "push"]}]
SECRET = "secret-of-the-client"


@needs_slapd
def test_skopeo_logs_in_with_a_password_of_the_directory(
    start_server: StartServer, samples: Samples, tmp_path: Path
) -> None:
    skopeo = require_program("skopeo")
    (tmp_path / "slapd").mkdir()
    with directory_server(tmp_path / "slapd") as directory:
        directory.add_group("registry-devs", directory.add_person("alice", "wonderland"))
        directory.add_person("bob", "builder")
        local = {"key": str(tmp_path / "key.pem"), "rules": RULES, "ldap": [directory.parameters(cache="1s")]}
        server = start_server(settings={"auth": {"local": local}})

        def pushed(user: str, password: str) -> bool:
            SUITE.add_login(user, password)
            source = f"oci:{samples.layout.path}:debian"
            to = (f"--dest-creds={user}:{password}", f"docker://{server.host}/team/app:v1")
            copy = (skopeo, "--insecure-policy", "copy", "--dest-tls-verify=false", source, *to)
            return finish(*copy).returncode == 0

        assert pushed("alice", "wonderland")
        assert not pushed("alice", "wrong")
        assert not pushed("bob", "builder")
        directory.delete("uid=alice,ou=people,dc=example,dc=org")
        assert not pushed("alice", "wonderland")


class RealBrowser:
    """A browser without scripts that speaks to real servers, and trusts the authority in `cafile`."""

    def __init__(self, cafile: Path) -> None:
        context = ssl.create_default_context(cafile=cafile)
        self._open = build_opener(HTTPCookieProcessor(CookieJar()), HTTPSHandler(context=context)).open
        self.url, self.text, self.forms = "", "", list["Form"]()

    def get(self, url: str) -> None:
        self._go(url, None)

    def send(self, **fields: str) -> None:
        """Send the last form of the page with `fields`."""
        form = self.forms[-1]
        self._go(urljoin(self.url, form.action), urlencode({**form.fields, **fields}, doseq=True).encode())

    def _go(self, url: str, content: bytes | None) -> None:
        with self._open(url, content) as answer:
            self.url, self.text = answer.url, answer.read().decode()
        self.forms = forms_of(self.url, self.text)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def test_people_log_in_at_a_real_provider_whichever_host_they_come_back_to(tmp_path: Path) -> None:
    node = require_program("node")
    if not LIBRARY.exists():
        missing("oidc-provider, which make .npm/node_modules/axe-core/axe.min.js installs,")
    port = free_port()
    (tmp_path / "secret").write_text(SECRET)
    oidc = {
        "name": "corp",
        "label": "Corp account",
        "issuer": f"http://127.0.0.1:{port}",
        "clientid": "registry",
        "clientsecretfile": str(tmp_path / "secret"),
        "scopes": ["openid", "email", "groups"],
        "map": {"registry-devs": "dev"},
    }
    local = {"key": str(tmp_path / "key.pem"), "apikeys": "storage", "rules": RULES, "login": {"oidc": [oidc]}}
    settings = {"auth": {"local": local}, "ui": {"enabled": True}, "http": {"trustedproxies": ["127.0.0.1"]}}
    shared = shared_directory(tmp_path / "root")
    with running_cluster(tmp_path, shared, partial(start_nginx, root=shared.root), settings) as cluster:
        pages = f"https://{cluster.proxy.host}/ui"
        provider = Daemon("oidc-provider", tmp_path / "oidc-provider.log")
        script = Path(__file__).with_name("oidc_provider.mjs")
        command = (node, script, LIBRARY, str(port), f"{pages}/_oidc/corp", SECRET)
        provider.start(command, partial(_listens, port), seconds=60)
        try:
            for number in range(6):
                browser = RealBrowser(cluster.proxy.authority.path)
                browser.get(f"{pages}/_oidc/corp")
                browser.send(login=f"person{number}", password="any")
                browser.send()
                assert browser.url == f"{pages}/"
                assert f"person{number}@corp.example" in browser.text
        finally:
            provider.stop(30)
        finished = [server.log.count("_oidc/corp?code=") for server in cluster.servers]
        assert all(finished), f"one host has done it all: {finished}"
