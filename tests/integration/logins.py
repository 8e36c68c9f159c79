"""Clients that log in, push and pull: one small class each, which differ only in their programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode

from tests.integration.api import OCI_MANIFEST
from tests.integration.clients import finish, require_program
from tests.integration.secrecy import SUITE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.content import Layout
    from tests.integration.engine import Engine


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a client did what it was told, and everything it said."""

    done: bool
    said: str

    def __bool__(self) -> bool:
        return self.done


class Client(Protocol):
    """A client with credentials of its own in a directory of its own."""

    def login(self, host: str, user: str, password: str) -> Outcome: ...

    def logout(self, host: str) -> Outcome: ...

    def push(self, image: str) -> Outcome: ...

    def pull(self, image: str) -> Outcome: ...


def _outcome(*command: str | Path, env: dict[str, str] | None = None) -> Outcome:
    given = dict(pairwise(command))
    SUITE.add_login(str(given.get("--username", "")), str(given.get("--password", "")))
    finished = finish(*command, env=env)
    return Outcome(finished.returncode == 0, finished.stdout + finished.stderr)


@dataclass(slots=True)
class Docker:
    """The Docker engine; `source` is an image that it has."""

    engine: Engine
    directory: Path
    source: str

    def _docker(self, *arguments: str) -> Outcome:
        env = {"DOCKER_CONFIG": str(self.directory / "docker")}
        return _outcome(self.engine.client, "--host", self.engine.socket, *arguments, env=env)

    def login(self, host: str, user: str, password: str) -> Outcome:
        return self._docker("login", "--username", user, "--password", password, host)

    def logout(self, host: str) -> Outcome:
        return self._docker("logout", host)

    def push(self, image: str) -> Outcome:
        self._docker("tag", self.source, image)
        pushed = self._docker("push", image)
        self._docker("rmi", image)
        return pushed

    def pull(self, image: str) -> Outcome:
        pulled = self._docker("pull", image)
        self._docker("rmi", image)
        return pulled


@dataclass(slots=True)
class Skopeo:
    directory: Path
    layout: Layout

    def _skopeo(self, *arguments: str) -> Outcome:
        env = {"REGISTRY_AUTH_FILE": f"{self.directory}/auth.json"}
        return _outcome(require_program("skopeo"), *arguments, env=env)

    def login(self, host: str, user: str, password: str) -> Outcome:
        return self._skopeo("login", "--tls-verify=false", "--username", user, "--password", password, host)

    def logout(self, host: str) -> Outcome:
        return self._skopeo("logout", host)

    def push(self, image: str) -> Outcome:
        source = f"oci:{self.layout.path}:small"
        return self._skopeo("--insecure-policy", "copy", "--dest-tls-verify=false", source, f"docker://{image}")

    def pull(self, image: str) -> Outcome:
        target = f"oci:{self.directory}/pulled:v1"
        return self._skopeo("--insecure-policy", "copy", "--src-tls-verify=false", f"docker://{image}", target)


@dataclass(slots=True)
class Podman:
    """podman, which keeps its images below `stores`, a short path."""

    directory: Path
    layout: Layout
    stores: Path

    def _podman(self, *arguments: str) -> Outcome:
        credentials = self.directory / "auth.json"
        if not credentials.exists():
            credentials.write_text("{}")
        stores = ("--root", f"{self.stores}/root", "--runroot", f"{self.stores}/run", "--storage-driver=vfs")
        env = {"REGISTRY_AUTH_FILE": str(credentials)}
        return _outcome(require_program("podman"), *stores, *arguments, env=env)

    def login(self, host: str, user: str, password: str) -> Outcome:
        return self._podman("login", "--tls-verify=false", "--username", user, "--password", password, host)

    def logout(self, host: str) -> Outcome:
        return self._podman("logout", host)

    def push(self, image: str) -> Outcome:
        loaded = self._podman("pull", "--quiet", f"oci:{self.layout.path}:small")
        assert loaded, loaded.said
        return self._podman("push", "--tls-verify=false", loaded.said.split()[-1], image)

    def pull(self, image: str) -> Outcome:
        return self._podman("pull", "--tls-verify=false", image)


@dataclass(slots=True)
class Crane:
    directory: Path
    layout: Layout

    def _crane(self, *arguments: str) -> Outcome:
        return _outcome(require_program("crane"), "--insecure", *arguments, env={"DOCKER_CONFIG": str(self.directory)})

    def login(self, host: str, user: str, password: str) -> Outcome:
        # It stores the credentials without asking the registry.
        noted = self._crane("auth", "login", host, "--username", user, "--password", password)
        return self._crane("catalog", host) if noted else noted

    def logout(self, host: str) -> Outcome:
        return self._crane("auth", "logout", host)

    def push(self, image: str) -> Outcome:
        return self._crane("push", str(self.layout.path), image)

    def pull(self, image: str) -> Outcome:
        return self._crane("pull", "--format=oci", image, f"{self.directory}/pulled")


@dataclass(slots=True)
class Oras:
    """The command of the ORAS project; its Python library never asks for a second token with more rights."""

    directory: Path

    def _oras(self, verb: str, *arguments: str) -> Outcome:
        return _outcome(require_program("oras"), verb, "--registry-config", f"{self.directory}/oras.json", *arguments)

    def login(self, host: str, user: str, password: str) -> Outcome:
        return self._oras("login", "--plain-http", "--username", user, "--password", password, host)

    def logout(self, host: str) -> Outcome:
        return self._oras("logout", host)

    def push(self, image: str) -> Outcome:
        artifact = self.directory / "artifact.txt"
        artifact.write_text("artifact")
        return self._oras("push", "--plain-http", "--disable-path-validation", image, str(artifact))

    def pull(self, image: str) -> Outcome:
        return self._oras(
            "pull", "--plain-http", "--allow-path-traversal", "--output", f"{self.directory}/pulled", image
        )


@dataclass(slots=True)
class Curl:
    """As a script does: Basic if the challenge is Basic, else a token from the realm of the challenge."""

    directory: Path
    layout: Layout
    credentials: str = ""

    def login(self, host: str, user: str, password: str) -> Outcome:
        self.credentials = f"{user}:{password}"
        SUITE.add_login(user, password)
        return self._ask(host, "GET", "/v2/")

    def logout(self, host: str) -> Outcome:
        del host
        self.credentials = ""
        return Outcome(done=True, said="")

    def push(self, image: str) -> Outcome:
        host, name, tag = _parts(image)
        for digest in self._blobs():
            started = self._ask(host, "POST", f"/v2/{name}/blobs/uploads/?digest={digest}", self._path(digest))
            if not started:
                return started
        content = self._path(self.layout.tagged("small")["digest"])
        return self._ask(host, "PUT", f"/v2/{name}/manifests/{tag}", content, OCI_MANIFEST)

    def pull(self, image: str) -> Outcome:
        host, name, tag = _parts(image)
        for path in [f"manifests/{tag}", *(f"blobs/{digest}" for digest in self._blobs())]:
            pulled = self._ask(host, "GET", f"/v2/{name}/{path}")
            if not pulled:
                return pulled
        return pulled

    def _blobs(self) -> Iterator[str]:
        manifest = self.layout.document(self.layout.tagged("small")["digest"])
        return (each["digest"] for each in [manifest["config"], *manifest["layers"]])

    def _path(self, digest: str) -> str:
        return str(self.layout.blob_path(digest))

    def _ask(self, host: str, method: str, path: str, body: str = "", kind: str = "") -> Outcome:
        content = ["--data-binary", f"@{body}", "--header", f"Content-Type: {kind or 'application/octet-stream'}"]
        request = ["--request", method, *(content if body else []), f"http://{host}{path}"]
        answer = self._curl(*request)
        challenge = next((line for line in answer.splitlines() if line.lower().startswith("www-authenticate:")), "")
        if "Bearer" in challenge:
            asked = dict(part.split("=", 1) for part in challenge.partition("Bearer ")[2].strip().split('",'))
            asked = {name: value.strip('"') for name, value in asked.items()}
            realm = asked.pop("realm")
            told = self._curl(*self._basic(), f"{realm}?{urlencode(asked)}").partition("\n\n")[2]
            token = json.loads(told).get("token", "none")
            answer = self._curl("--header", f"Authorization: Bearer {token}", *request)
        elif challenge:
            answer = self._curl(*self._basic(), *request)
        return Outcome(answer.split()[1][0] == "2", answer)

    def _basic(self) -> list[str]:
        return ["--user", self.credentials] if self.credentials else []

    def _curl(self, *arguments: str) -> str:
        body = self.directory / "body"
        body.unlink(missing_ok=True)
        finished = finish(require_program("curl"), "--silent", "--dump-header", "-", "--output", body, *arguments)
        return finished.stdout + (body.read_text(errors="replace") if body.exists() else "")


def _parts(image: str) -> tuple[str, str, str]:
    host, _, rest = image.partition("/")
    name, _, tag = rest.rpartition(":")
    return host, name, tag
