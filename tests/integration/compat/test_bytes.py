"""What scripts match: where answers mean the same, ours are those of both Go registries, byte for byte."""

from __future__ import annotations

import re
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.compat.cases import CASES, Case
from tests.integration.compat.observation import resolve
from tests.integration.compat.seeding import seed
from tests.integration.compat.test_answers import DIFFERENCES
from tests.integration.servers import Flavour, Server, free_port, ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)

Pair = tuple[Server, Server]

AS_REGISTRY_3 = {
    *("tags first page", "tags after one", "tags of none", "docker manifest unasked", "oci index unasked"),
    *("status without a state", "delete manifest by tag"),
}
"""Documented as differences from registry 2."""
NOT_AS_REGISTRY_2 = {
    **dict.fromkeys(("tags", "name with an encoded slash"), "2.8 lists tags as the directory does"),
    **dict.fromkeys(
        (
            *("manifest unknown tag", "manifest unknown tag head", "manifest unknown digest"),
            *("manifest unknown repository", "tag of the deleted manifest"),
        ),
        "details of 2.8 are structures, of 3 sentences",
    ),
}
NOT_AS_REGISTRY_3 = {
    "chunk with a malformed range": "3 answers 500",
}
OTHER_WORDS = {
    **dict.fromkeys(
        (
            *(
                "blob short digest",
                "blob unknown algorithm",
                "finish without a digest",
                "finish with a malformed digest",
            ),
            *("finish with an unknown algorithm", "chunk with a forged state", "finish with a forged state"),
            *("put of another type", "put of a type unlike the content", "put no json", "put nothing"),
        ),
        "our message says what is wrong",
    ),
    **dict.fromkeys(
        (
            *("delete blob again", "delete unknown blob", "delete manifest by digest again"),
            *("delete manifest by unknown digest", "put of another digest"),
        ),
        "our detail names it",
    ),
    "finish with another digest": "the detail of 2.8 is a structure",
}
"""The same status, headers and code in other words."""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Flavour], Pair]]:
    """Give, for a Go registry, that one and ours with the same content; both are started once."""
    started: dict[str, Pair] = {}

    def pair_of(flavour: Flavour) -> Pair:
        if flavour.name not in started:
            started[flavour.name] = _start(tmp_path_factory.mktemp(flavour.name), flavour, {})
            for server in started[flavour.name]:
                seed(server.api)
        return started[flavour.name]

    yield pair_of
    for pair in started.values():
        for server in pair:
            server.stop_cleanly()


def _start(directory: Path, flavour: Flavour, settings: dict[str, Any]) -> Pair:
    theirs, our = (
        Server(each, directory / each.name / "root", directory, settings=settings) for each in (flavour, ours())
    )
    return theirs.start(), our.start()


def ask(
    port: int, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[str, list[str], bytes]:
    """Return the first line, the other lines of the head and the body of an answer, as they came."""
    told = {"Host": "registry.example", "Connection": "close", **(headers or {})}
    if body is not None or method in {"POST", "PUT", "PATCH"}:
        told["Content-Length"] = str(len(body or b""))
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + (body or b""))
        received = b"".join(iter(lambda: client.recv(65536), b""))
    first, *lines = received.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    return first, lines, received.partition(b"\r\n\r\n")[2]


def comparable(answer: tuple[str, list[str], bytes]) -> tuple[str, list[str], bytes]:
    """Leave out what differs by chance or is another's: the time, identifiers, what a connection is."""
    first, lines, body = answer
    lines = [line for line in lines if not line.startswith(("Date: ", "Connection: ", "Server: "))]
    lines = [re.sub(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", line) for line in lines]
    lines = [re.sub("_state=[^&]+", "_state=<state>", line) for line in lines]
    # 2.8 says that JSON is UTF-8, 3 no longer does.
    lines = [line.replace("application/json; charset=utf-8", "application/json") for line in lines]
    return first, sorted(lines), body


def without_words(answer: tuple[str, list[str], bytes]) -> tuple[str, list[str], list[bytes]]:
    first, lines, body = answer
    return (
        first,
        [line for line in lines if not line.startswith("Content-Length: ")],
        re.findall(rb'"code":"(\w+)","message":"', body),
    )


DIFFERENT = {
    "debian": DIFFERENCES.keys() | NOT_AS_REGISTRY_2.keys(),
    "v3": DIFFERENCES.keys() - AS_REGISTRY_3 | NOT_AS_REGISTRY_3.keys(),
}


@pytest.mark.parametrize(
    ("go_registry", "case"),
    [(name, case) for name, different in DIFFERENT.items() for case in CASES if case.name not in different],
    indirect=["go_registry"],
    ids=lambda value: getattr(value, "name", value),
)
def test_answer_is_that_of_the_go_registry_to_the_byte(
    go_registry: Flavour, pairs: Callable[[Flavour], Pair], case: Case
) -> None:
    theirs, our = (
        comparable(ask(server.port, case.method, resolve(server.api, case.target), case.body, case.headers))
        for server in pairs(go_registry)
    )

    if case.name in OTHER_WORDS:
        assert without_words(our) == without_words(theirs)
        assert our[2].endswith(b"}]}\n")
    else:
        assert our == theirs


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/v2/"), ("GET", "/v2/_catalog"), ("GET", "/v2/a/tags/list"), ("PUT", "/v2/a/manifests/x"), ("GET", "/")],
)
def test_answer_to_a_stranger_is_that_of_the_go_registry_to_the_byte(
    go_registry: Flavour, tmp_path: Path, method: str, target: str
) -> None:
    passwords = tmp_path / "htpasswd"
    passwords.write_text("user:$2y$05$tdyH4GNyBmd2sSB2LOnwBuMB9NoJwfdJLiOKdmzuvGzmLjYHEuYDG\n")
    pair = _start(tmp_path, go_registry, {"auth": {"htpasswd": {"realm": 'a "realm"', "path": str(passwords)}}})
    try:
        theirs, our = (comparable(ask(server.port, method, target)) for server in pair)
    finally:
        for server in pair:
            server.stop_cleanly()

    assert our == theirs


@pytest.mark.parametrize("target", ["/v2/a/manifests/sha256:" + "0" * 64, "/v2/a/blobs/sha256:" + "0" * 64])
def test_refused_deletion_has_the_words_of_the_go_registry_and_says_which_setting(
    go_registry: Flavour, tmp_path: Path, target: str
) -> None:
    pair = _start(tmp_path, go_registry, {"storage": {"delete": {"enabled": False}}})
    try:
        theirs, our = (comparable(ask(server.port, "DELETE", target)) for server in pair)
    finally:
        for server in pair:
            server.stop_cleanly()

    assert without_words(our) == without_words(theirs)
    assert our[2] == theirs[2].replace(b'"}]}', b'","detail":"deletion is off; storage.delete.enabled turns it on"}]}')


def test_health_of_the_debug_server_is_that_of_the_go_registry_to_the_byte(
    go_registry: Flavour, tmp_path: Path
) -> None:
    down = tmp_path / "down <&>"
    answers = []
    for flavour in (go_registry, ours()):
        port = free_port()
        settings = {
            "http": {"debug": {"addr": f"127.0.0.1:{port}"}},
            "health": {"file": [{"file": str(down), "interval": "100ms"}]},
        }
        server = Server(flavour, tmp_path / flavour.name, tmp_path, settings=settings).start()
        try:
            well = ask(port, "GET", "/debug/health")
            unknown = (
                ask(port, "GET", "/unknown"),
                ask(port, "POST", "/debug/health"),
                ask(port, "HEAD", "/debug/health"),
            )
            down.touch()
            while (ill := ask(port, "GET", "/debug/health"))[0] == well[0]:
                time.sleep(0.05)
            # The check before the API may be a moment behind the page.
            while (refused := ask(server.port, "GET", "/v2/"))[0].endswith("200 OK"):
                time.sleep(0.05)
        finally:
            down.unlink(missing_ok=True)
            server.stop_cleanly()
        answers.append([(first, body) for first, _, body in (well, *unknown, ill, refused)])

    assert answers[1] == answers[0]


def test_every_case_that_is_named_is_one() -> None:
    named = {*AS_REGISTRY_3, *NOT_AS_REGISTRY_2, *NOT_AS_REGISTRY_3, *OTHER_WORDS}

    assert named <= {case.name for case in CASES}
    assert DIFFERENCES.keys() >= AS_REGISTRY_3
    assert not (OTHER_WORDS.keys() | NOT_AS_REGISTRY_2.keys()) & DIFFERENCES.keys()
