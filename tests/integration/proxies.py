"""The proxies of deploy/, as real processes: their files with the test's names, ports and paths."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.api import Api
from tests.integration.clients import require_program
from tests.integration.daemons import Daemon
from tests.integration.servers import STOP_SECONDS, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.server.tls.authority import Authority

DEPLOY = Path(__file__).parents[2] / "deploy"
START_SECONDS = 30
_NGINX_MAIN = """
daemon off;
user root;
worker_processes 2;
pid {directory}/nginx.pid;
error_log {directory}/nginx-error.log info;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    client_body_temp_path {directory}/spool/request;
    proxy_temp_path {directory}/spool/response;
    fastcgi_temp_path {directory}/spool/fastcgi;
    uwsgi_temp_path {directory}/spool/uwsgi;
    scgi_temp_path {directory}/spool/scgi;
    include {directory}/registry.conf;
}}
"""


@dataclass(slots=True)
class Proxy:
    """A proxy that ends TLS for `backends`, which are addresses of registries; ``start_*`` makes one."""

    name: str
    directory: Path
    authority: Authority
    port: int = field(default_factory=free_port)
    _running: Daemon | None = None

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    @property
    def api(self) -> Api:
        return Api("localhost", self.port, self.authority.trusting_client())

    @property
    def log(self) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("*.log")))

    def spooled(self) -> list[Path]:
        """Give the files to which the proxy has written bodies; they are unlinked at once, so look often."""
        return [path for path in (self.directory / "spool").rglob("*") if path.is_file()]

    def run(self, *command: str | Path, env: Mapping[str, str] | None = None) -> Proxy:
        self._running = Daemon(self.name, self.directory / f"{self.name}.log")
        self._running.start(command, self._answers, seconds=START_SECONDS, env=env)
        return self

    def stop(self) -> None:
        if self._running:
            self._running.stop(STOP_SECONDS)

    def _answers(self) -> bool:
        try:
            return self.api.get("/").status == 200
        except OSError:
            return False


def start_nginx(
    proxy: Proxy,
    backends: Sequence[str],
    root: Path | None = None,
    *,
    resolver: str = "127.0.0.53",
    changes: Mapping[str, str] | None = None,
) -> Proxy:
    """Start nginx with registry.conf; blobs are served from the storage root, or fetched from an object store.

    It asks `resolver` for the store's address, and trusts one whose certificate is of the proxy's authority.
    `changes` are lines of the file and what an operator has made of them.
    """
    program = require_program("nginx")
    pair = proxy.authority.issue("nginx")
    for name in ("request", "response", "fastcgi", "uwsgi", "scgi"):
        (proxy.directory / "spool" / name).mkdir(parents=True)
    text = _replaced(
        (DEPLOY / "nginx/registry.conf").read_text(),
        {
            "listen 443 ssl http2;": f"listen 127.0.0.1:{proxy.port} ssl http2;",
            "    listen [::]:443 ssl http2;\n": "",
            "server_name registry.example.com;": "server_name localhost;",
            "server unix:/run/registry/registry.sock fail_timeout=0;": _lines(
                "server {0} max_fails=1 fail_timeout=1s;", backends
            ),
            "/etc/nginx/certs/domain.crt": str(pair.certificate),
            "/etc/nginx/certs/domain.key": str(pair.key),
            "/var/log/nginx/registry.log": f"{proxy.directory}/nginx-access.log",
            "/var/lib/registry/docker/registry/v2/blobs/": f"{root or proxy.directory}/docker/registry/v2/blobs/",
            "# include /etc/nginx/snippets/registry-object-store.conf;": (
                "" if root else f"include {proxy.directory}/registry-object-store.conf;"
            ),
        },
    )
    (proxy.directory / "registry.conf").write_text(_replaced(text, changes or {}))
    store = _replaced(
        (DEPLOY / "nginx/registry-object-store.conf").read_text(),
        {
            "resolver 127.0.0.53 ": f"resolver {resolver} ",
            "/etc/ssl/certs/ca-certificates.crt": str(proxy.authority.path),
        },
    )
    (proxy.directory / "registry-object-store.conf").write_text(store)
    main = proxy.directory / "nginx.conf"
    main.write_text(_NGINX_MAIN.format(directory=proxy.directory))
    return proxy.run(program, "-p", proxy.directory, "-c", main)


def start_haproxy(proxy: Proxy, backends: Sequence[str], *, changes: Mapping[str, str] | None = None) -> Proxy:
    """Start HAProxy with haproxy.cfg; `changes` as in start_nginx()."""
    program = require_program("haproxy")
    pair = proxy.authority.issue("haproxy")
    pem = proxy.directory / "domain.pem"
    pem.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    line = "server one 192.0.2.11:5000 check inter 2s fall 2 rise 1"
    text = _replaced(
        (DEPLOY / "haproxy/haproxy.cfg").read_text(),
        {
            "bind :443": f"bind 127.0.0.1:{proxy.port}",
            "/etc/haproxy/certs/domain.pem": str(pem),
            line: _lines("server s{1} {0} check inter 200 fall 2 rise 1", backends),
        },
    )
    config = proxy.directory / "haproxy.cfg"
    config.write_text(_replaced(text, changes or {}))
    return proxy.run(program, "-db", "-f", config)


def short_deadlines(name: str, seconds: int) -> Mapping[str, str]:
    """Give the changes by which a head may take `seconds`, and a body or an answer stand still for as long."""
    return {
        "nginx": {
            "client_header_timeout 10s;": f"client_header_timeout {seconds}s;",
            "client_body_timeout 60s;": f"client_body_timeout {seconds}s;",
            "    send_timeout 60s;": f"    send_timeout {seconds}s;",
        },
        "haproxy": {
            "timeout http-request 10s": f"timeout http-request {seconds}s",
            "timeout client 60s": f"timeout client {seconds}s",
        },
    }[name]


def start_caddy(proxy: Proxy, backends: Sequence[str]) -> Proxy:
    """Start Caddy with its Caddyfile and a certificate of the test's authority."""
    program = require_program("caddy")
    pair = proxy.authority.issue("caddy")
    text = _replaced(
        (DEPLOY / "caddy/Caddyfile").read_text(),
        {
            "{\n\tservers": "{\n\tadmin off\n\tauto_https disable_redirects\n\tservers",
            "registry.example.com {": f"https://localhost:{proxy.port} {{\n\ttls {pair.certificate} {pair.key}",
            "192.0.2.11:5000": " ".join(backends),
        },
    )
    config = proxy.directory / "Caddyfile"
    config.write_text(text)
    home = {
        "HOME": str(proxy.directory),
        "XDG_DATA_HOME": str(proxy.directory),
        "XDG_CONFIG_HOME": str(proxy.directory),
    }
    return proxy.run(program, "run", "--adapter", "caddyfile", "--config", config, env=home)


def _lines(template: str, backends: Sequence[str]) -> str:
    return "\n    ".join(template.format(backend, number) for number, backend in enumerate(backends))


def _replaced(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        assert text.count(old) == 1, f"deploy/ has changed: {old!r} is there {text.count(old)} times"
        text = text.replace(old, new)
    return text
