"""One nginx in front of all registries, each on a port of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.benchmarks.peers import ACCELERATED
from tests.benchmarks.tools import Address
from tests.integration.clients import SEARCH_PATH
from tests.integration.servers import free_port
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.benchmarks.peers import Server

_CONFIGURATION = """\
daemon off;
{user}
worker_processes 2;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log error;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    # The clients are on this machine: what is copied they take from the processor's cache, see docs/performance.md.
    sendfile off;
    output_buffers 2 256k;
    tcp_nopush on;
    tcp_nodelay on;
    gzip off;
    keepalive_requests 1000000;
    client_max_body_size 0;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
{servers}
}}
"""
_SERVER = """
    upstream registry_{port} {{ server 127.0.0.1:{backend}; keepalive 64; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://registry_{port};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
            proxy_read_timeout 900s;
            proxy_buffer_size 16k;
            proxy_buffers 8 64k;
            proxy_busy_buffers_size 128k;
        }}
        location {accelerated}/ {{
            internal;
            alias {root}/docker/registry/v2/blobs/;
            etag off;
            add_header Docker-Content-Digest $upstream_http_docker_content_digest always;
            add_header ETag $upstream_http_etag;
            add_header Docker-Distribution-Api-Version registry/2.0 always;
        }}
    }}
"""


@dataclass(slots=True)
class Nginx:
    """A running nginx; a block that ends it."""

    ports: dict[str, int]
    _process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, directory: Path, servers: Sequence[Server]) -> Self:
        """Start nginx before `servers`."""
        program = find_nginx()
        if program is None:
            raise RuntimeError("nginx is missing")
        directory.mkdir(parents=True, exist_ok=True)
        ports = {server.peer.name: free_port() for server in servers}
        blocks = [
            _SERVER.format(
                port=ports[server.peer.name],
                backend=server.site.port,
                root=server.site.root,
                accelerated=ACCELERATED,
            )
            for server in servers
        ]
        path = directory / "nginx.conf"
        path.write_text(_CONFIGURATION.format(user=_user(), directory=directory, servers="".join(blocks)))
        process = subprocess.Popen([program, "-e", f"{directory}/start.log", "-p", str(directory), "-c", str(path)])
        wait_until("nginx has written its pid", (directory / "nginx.pid").exists)
        return cls(ports, process)

    @property
    def pid(self) -> int:
        """The root of its process tree."""
        return self._process.pid

    def address(self, name: str) -> Address:
        """Return where the registry called `name` is reached."""
        return Address("127.0.0.1", self.ports[name])

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()


def _user() -> str:
    """Let nginx's workers read what the registries wrote, if root runs all of them."""
    return "user root;" if os.geteuid() == 0 else ""


def find_nginx() -> str | None:
    """Return the program, if installed."""
    return shutil.which("nginx", path=SEARCH_PATH)
