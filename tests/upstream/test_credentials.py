from __future__ import annotations

import json
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from registry.config.upstreams import Helper, UpstreamAuth
from registry.foundation.errors import ParameterError
from registry.oci.errors import UpstreamRefusedError
from tests.upstream.content import LATEST, NAME, image
from tests.upstreams import faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.upstream.conftest import Connect
    from tests.upstreams import Registry


def test_a_password_in_a_file_is_read_again_when_that_changes(
    private: Registry, connect: Connect, tmp_path: Path
) -> None:
    path = tmp_path / "password"
    path.write_text("old\n")
    upstream = connect(private, auth=UpstreamAuth(username="user", passwordfile=str(path)))
    with pytest.raises(UpstreamRefusedError):
        upstream.find(NAME, LATEST)
    path.write_text("word\n")
    assert upstream.find(NAME, LATEST)


def test_a_password_whose_file_is_gone_is_a_refusal_that_does_not_name_it(
    private: Registry, connect: Connect, tmp_path: Path
) -> None:
    path = tmp_path / "password"
    path.write_text("word")
    upstream = connect(private, auth=UpstreamAuth(username="user", passwordfile=str(path)))
    path.unlink()
    with pytest.raises(UpstreamRefusedError, match=r"^the credentials for hub cannot be had$"):
        upstream.find(NAME, LATEST)


@pytest.mark.parametrize(
    ("auth", "path"),
    [
        (UpstreamAuth(username="user", passwordfile="/missing"), "auth.passwordfile"),
        (UpstreamAuth(dockerconfig="/missing"), "auth.dockerconfig"),
        (UpstreamAuth(dockerconfig=sys.executable), "auth.dockerconfig"),
        (UpstreamAuth(exec=Helper("/missing")), "auth.exec.command"),
        (UpstreamAuth(exec=Helper("docker-credential-missing")), "auth.exec.command"),
    ],
)
def test_a_source_that_is_not_there_is_told_by_its_key(
    remote: Registry, connect: Connect, auth: UpstreamAuth, path: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        connect(remote, auth=auth)
    assert caught.value.path == path


@pytest.fixture
def helper(tmp_path: Path) -> Callable[..., Path]:
    """Write a program that notes each call, and gives what is said."""

    def write(output: str, code: int = 0, name: str = "helper") -> Path:
        program = tmp_path / name
        program.write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"open({str(tmp_path / 'calls')!r}, 'a').write(sys.argv[1] + ' ' + sys.stdin.read() + '\\n')\n"
            f"print({output!r})\nsys.exit({code})\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return program

    return write


def calls(tmp_path: Path) -> list[str]:
    path = tmp_path / "calls"
    return path.read_text().splitlines() if path.exists() else []


GIVEN = json.dumps({"ServerURL": "x", "Username": "user", "Secret": "word"})


@pytest.mark.parametrize(("lifetime_seconds", "expected"), [(None, 1), (3600, 1), (0, 2)])
def test_a_helper_is_asked_by_the_host_of_the_token_service_for_as_long_as_is_set(
    private: Registry,
    connect: Connect,
    helper: Callable[..., Path],
    tmp_path: Path,
    lifetime_seconds: float | None,
    expected: int,
) -> None:
    private.put_manifest("other", image(), "latest")
    command = Helper(str(helper(GIVEN)), lifetime_seconds)
    upstream = connect(private, auth=UpstreamAuth(exec=command))
    assert upstream.find(NAME, LATEST)
    assert upstream.find("other", LATEST)
    assert calls(tmp_path) == [f"get {private.host}"] * expected


def test_a_helper_may_give_a_refresh_token(private: Registry, connect: Connect, helper: Callable[..., Path]) -> None:
    private.login = ("", "refresh")
    given = json.dumps({"Username": "<token>", "Secret": "refresh"})
    assert connect(private, auth=UpstreamAuth(exec=Helper(str(helper(given))))).find(NAME, LATEST)
    asked = private.asked[1]
    assert (asked.method, asked.authorization, asked.query) == ("POST", "", {})
    assert b"grant_type=refresh_token&refresh_token=refresh" in asked.body


@pytest.mark.parametrize(("output", "code"), [("oh no", 1), ("oh no", 0), ("{}", 0), ("[]", 0), ('{"Username": 1}', 0)])
def test_a_helper_that_fails_is_a_refusal(
    private: Registry,
    connect: Connect,
    helper: Callable[..., Path],
    tmp_path: Path,
    output: str,
    code: int,
) -> None:
    upstream = connect(private, auth=UpstreamAuth(exec=Helper(str(helper(output, code)))))
    for _ in range(3):
        with pytest.raises(UpstreamRefusedError, match=r"^the credentials for hub cannot be had$"):
            upstream.find(NAME, LATEST)
    assert len(calls(tmp_path)) == 1


def test_a_helper_that_has_nothing_leaves_us_anonymous(
    remote: Registry, connect: Connect, helper: Callable[..., Path]
) -> None:
    remote.put_manifest(NAME, image(), "latest")
    remote.misbehave(faults.status(401, WWW_Authenticate=f'Bearer realm="{remote.token_url}"'), times=1)
    program = helper("credentials not found in native keychain", 1)
    assert connect(remote, auth=UpstreamAuth(exec=Helper(str(program)))).find(NAME, LATEST)
    assert remote.asked[1].authorization == ""


@pytest.mark.parametrize("entry", [{"auth": "dXNlcjp3b3Jk"}, {"username": "user", "password": "word"}])
@pytest.mark.parametrize("key", ["{host}", "http://{host}/v2/"])
def test_docker_configuration_has_the_login_of_the_registry(
    private: Registry, connect: Connect, tmp_path: Path, entry: dict[str, str], key: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": {"other.example": {}, key.format(host=private.host): entry}}))
    assert connect(private, auth=UpstreamAuth(dockerconfig=str(path))).find(NAME, LATEST)


@pytest.mark.parametrize("section", [{"credsStore": "test"}, {"credHelpers": {"HOST": "test"}, "credsStore": "no"}])
def test_docker_configuration_may_name_a_helper(
    private: Registry,
    connect: Connect,
    helper: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    section: dict[str, object],
) -> None:
    helper(GIVEN, name="docker-credential-test")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    path = tmp_path / "config.json"
    path.write_text(json.dumps(section).replace("HOST", private.host))
    assert connect(private, auth=UpstreamAuth(dockerconfig=str(path))).find(NAME, LATEST)
    assert calls(tmp_path) == [f"get {private.host}"]


def test_docker_configuration_may_have_an_identity_token(private: Registry, connect: Connect, tmp_path: Path) -> None:
    private.login = ("", "refresh")
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": {private.host: {"auth": "dXNlcjo=", "identitytoken": "refresh"}}}))
    assert connect(private, auth=UpstreamAuth(dockerconfig=str(path))).find(NAME, LATEST)


@pytest.mark.parametrize("kept", [True, False])
def test_docker_configuration_may_have_the_login_under_the_old_index_of_the_domain(
    private: Registry,
    connect: Connect,
    helper: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    names: dict[str, list[str]],
    *,
    kept: bool,
) -> None:
    names["registry-1.hub.example"] = ["127.0.0.1"]
    private.url = private.url.replace("127.0.0.1", "registry-1.hub.example")
    private.realm = private.token_url
    helper(GIVEN, name="docker-credential-test")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    index, path = "https://index.hub.example/v1/", tmp_path / "config.json"
    login = {"auths": {"https://other.example/v1/": {"auth": "eDp5"}, index: {} if kept else {"auth": "dXNlcjp3b3Jk"}}}
    path.write_text(json.dumps({**login, "credsStore": "test"} if kept else login))
    assert connect(private, auth=UpstreamAuth(dockerconfig=str(path))).find(NAME, LATEST)
    assert calls(tmp_path) == ([f"get {index}"] if kept else [])
