"""Images of programs of this machine, under the names that compose files expect.

No registry can be reached for those that are meant, so these stand for them: the same programs, which take the same
arguments and files from the same places.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.clients import finish, require_program, require_seaweedfs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.integration.engine import Engine

_USERS = b"root:x:0:0::/:/\nnginx:x:101:101::/:/\n"
_NGINX = b"""user nginx;
events { worker_connections 512; }
http { include /etc/nginx/conf.d/*.conf; }
"""
_EMPTY = b""


def import_nginx(engine: Engine, directory: Path) -> None:
    """Make ``nginx``, which reads ``/etc/nginx/conf.d`` as the official image does."""
    files = {
        "etc/passwd": _USERS,
        "etc/group": b"root:x:0:\nnginx:x:101:\n",
        "etc/nginx/nginx.conf": _NGINX,
        **{f"var/{name}/nginx/.keep": _EMPTY for name in ("lib", "log")},
        "run/.keep": _EMPTY,
    }
    command = {"CMD": ["nginx", "-g", "daemon off;"]}
    _import(engine, directory, "nginx", Path(require_program("nginx")), files, command)


def import_redis(engine: Engine, directory: Path) -> None:
    """Make ``redis``."""
    _import(engine, directory, "redis", Path(require_program("redis-server")), {}, {"CMD": ["redis-server"]})


def import_seaweedfs(engine: Engine, directory: Path) -> None:
    """Make ``chrislusf/seaweedfs``, which takes the arguments of weed."""
    require_seaweedfs()
    weed = Path(sys.executable).with_name("weed")
    files = {"tmp/.keep": _EMPTY, "data/.keep": _EMPTY}
    _import(engine, directory, "chrislusf/seaweedfs", weed, files, {"ENTRYPOINT": ["/usr/bin/weed"]})


def import_httpd(engine: Engine, directory: Path) -> None:
    """Make ``httpd:2``, of which the pages need htpasswd."""
    _import(engine, directory, "httpd:2", Path(require_program("htpasswd")), {}, {})


def _import(
    engine: Engine,
    directory: Path,
    image: str,
    program: Path,
    files: Mapping[str, bytes],
    changes: Mapping[str, list[str]],
) -> None:
    """Make `image` of a program with its libraries, and `files`; the `changes` are Dockerfile instructions."""
    path = directory / "image.tar"
    with tarfile.open(path, "w", dereference=True) as archive:
        archive.add(program, f"usr/bin/{program.name}")
        for library in _libraries(program):
            archive.add(library, library.removeprefix("/"))
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    options = [f"--change={instruction} {json.dumps(words)}" for instruction, words in changes.items()]
    engine.docker("import", "--change=ENV PATH=/usr/bin", *options, path, image)
    path.unlink()


def _libraries(program: Path) -> list[str]:
    """Give what the program is linked with, loader included; nothing for a static one."""
    return re.findall(r"(/\S+) \(0x", finish("ldd", program).stdout)
