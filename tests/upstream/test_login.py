from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from registry.config.upstreams import UpstreamAuth
from registry.oci.errors import UpstreamFailedError, UpstreamLimitedError, UpstreamRefusedError
from tests.upstream.content import CONTENT, LATEST, NAME, image, there
from tests.upstreams import Answer, faults

if TYPE_CHECKING:
    from tests.upstream.conftest import Connect
    from tests.upstreams import Registry
    from tests.upstreams.faults import Fault
    from tests.upstreams.server import Handler

USER = UpstreamAuth(username="user", password="word")
BASIC = "Basic " + base64.b64encode(b"user:word").decode()


def secrets_seen(other: Registry) -> list[str]:
    """Give what a server has seen that it may not, as it came through its socket."""
    return [
        f"{each.headers}{each.query}{each.body!r}" for each in other.asked if "word" in f"{each}" or BASIC in f"{each}"
    ]


def test_a_registry_that_wants_basic_gets_it_from_the_second_request_on(remote: Registry, connect: Connect) -> None:
    remote.put_manifest(NAME, image(), "latest")
    remote.login = ("user", "word")
    upstream = connect(remote, auth=USER)
    for _ in range(2):
        assert upstream.find(NAME, LATEST)
    assert [each.authorization for each in remote.asked] == ["", BASIC, BASIC]


def test_a_token_is_asked_for_with_the_credentials_and_used_again(private: Registry, connect: Connect) -> None:
    upstream = connect(private, auth=USER)
    for _ in range(3):
        assert upstream.find(NAME, LATEST)
    assert [each.path.rpartition("/")[2] for each in private.asked] == ["latest", "token", "latest", "latest", "latest"]
    asked = private.asked[1]
    assert asked.query == {"service": "registry", "scope": f"repository:{NAME}:pull", "account": "user"}
    assert asked.authorization == BASIC
    assert {each.authorization for each in private.asked[2:]} == {"Bearer token-0"}


def test_each_repository_has_a_token_of_its_own_which_needs_no_challenge(private: Registry, connect: Connect) -> None:
    private.put_manifest("library/other", image(), "latest")
    upstream = connect(private, auth=USER)
    assert upstream.find(NAME, LATEST)
    assert upstream.find("library/other", LATEST)
    assert [each.authorization for each in private.asked] == ["", BASIC, "Bearer token-0", BASIC, "Bearer token-1"]


def test_who_has_no_credentials_is_given_an_anonymous_token(private: Registry, connect: Connect) -> None:
    private.login = None
    private.misbehave(faults.status(401, WWW_Authenticate=f'Bearer realm="{private.realm}"'), path="/v2/", times=1)
    assert connect(private).find(NAME, LATEST)
    assert (private.count("GET", "/token"), private.asked[1].authorization) == (1, "")


def test_many_threads_share_one_token(private: Registry, connect: Connect) -> None:
    upstream = connect(private, auth=USER)
    private.misbehave(faults.slow(10, 0.05), path="/token")
    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(lambda _: upstream.find(NAME, LATEST), range(64)))
    assert private.count("GET", "/token") == 1


def test_a_failure_of_the_token_service_is_shared_too(private: Registry, connect: Connect) -> None:
    upstream = connect(private, auth=USER)

    def ask(_: int) -> bool:
        with pytest.raises(UpstreamRefusedError):
            upstream.find(NAME, LATEST)
        return True

    def deny_slowly(handler: Handler, _: Answer) -> None:
        handler.state.ended.wait(0.5)
        handler.send(Answer(403))

    private.misbehave(deny_slowly, path="/token")
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(16)))
    assert private.count("GET", "/token") < 16


def test_a_token_that_is_refused_is_replaced_once(private: Registry, connect: Connect) -> None:
    upstream = connect(private, auth=USER)
    assert upstream.find(NAME, LATEST)
    private.tokens.clear()
    assert upstream.find(NAME, LATEST)
    assert private.count("GET", "/token") == 2
    private.misbehave(faults.status(401, WWW_Authenticate=f'Bearer realm="{private.realm}"'), path="/v2/")
    for _ in range(5):
        with pytest.raises(UpstreamRefusedError):
            upstream.find(NAME, LATEST)
    assert private.count("GET", "/token") <= 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.status(403), UpstreamRefusedError),
        (faults.status(500), UpstreamFailedError),
        (faults.status(200, b"[]"), UpstreamFailedError),
        (faults.status(200, b"[" * 100_000), UpstreamFailedError),
        (faults.status(200, b'{"token": "a\\r\\nb"}'), UpstreamFailedError),
        (faults.html, UpstreamFailedError),
        (faults.limited("7"), UpstreamLimitedError),
        (faults.reset(), UpstreamFailedError),
    ],
)
def test_a_token_service_that_gives_no_token_is_an_error(
    private: Registry, connect: Connect, fault: Fault, error: type[Exception]
) -> None:
    private.misbehave(fault, path="/token")
    with pytest.raises(error, match=r"^the token service of hub"):
        connect(private, auth=USER).find(NAME, LATEST)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("headers", [{}, {"WWW_Authenticate": "Negotiate"}, {"WWW_Authenticate": 'Basic realm="x"'}])
def test_a_refusal_is_one_whatever_it_asks_for(
    remote: Registry, connect: Connect, status: int, headers: dict[str, str]
) -> None:
    remote.misbehave(faults.status(status, b"", **headers))
    with pytest.raises(UpstreamRefusedError, match=r"^hub refuses access$"):
        connect(remote).find(NAME, LATEST)
    assert len(remote.asked) == 1


def test_wrong_credentials_are_a_refusal(private: Registry, connect: Connect) -> None:
    with pytest.raises(UpstreamRefusedError):
        connect(private, auth=UpstreamAuth(username="user", password="wrong")).find(NAME, LATEST)
    private.realm = ""
    with pytest.raises(UpstreamRefusedError):
        connect(private, auth=UpstreamAuth(username="user", password="wrong")).find(NAME, LATEST)


def test_no_other_token_service_is_asked(private: Registry, other: Registry, connect: Connect) -> None:
    private.realm = other.token_url
    with pytest.raises(UpstreamRefusedError, match=r"^the token service of hub may not be asked$"):
        connect(private, auth=USER).find(NAME, LATEST)
    assert other.asked == []


def test_another_token_service_is_asked_if_the_configuration_names_it(
    private: Registry, other: Registry, connect: Connect
) -> None:
    private.realm, other.login, other.tokens = other.token_url, private.login, private.tokens
    upstream = connect(private, auth=UpstreamAuth(username="user", password="word", realms=(other.host,)))
    assert upstream.find(NAME, LATEST)
    assert [each.authorization for each in other.asked] == [BASIC]


def test_a_redirect_of_a_token_service_is_not_followed(private: Registry, other: Registry, connect: Connect) -> None:
    private.misbehave(faults.redirect(other.token_url), path="/token")
    with pytest.raises(UpstreamFailedError, match=r"^the token service of hub answers 307$"):
        connect(private, auth=USER).find(NAME, LATEST)
    assert other.asked == []


@pytest.mark.parametrize("realm", [True, False])
def test_no_credential_goes_along_to_another_server(
    private: Registry, other: Registry, connect: Connect, *, realm: bool
) -> None:
    private.realm = private.realm if realm else ""
    digest = private.put_blob(NAME, CONTENT)
    other.put_blob(NAME, CONTENT)
    private.misbehave(faults.elsewhere(other.url), path="/blobs/")
    upstream = connect(private, auth=USER)
    upstream.find(NAME, LATEST)
    with there(upstream.blob(NAME, digest)) as stream:
        assert b"".join(stream) == CONTENT
    assert [each.path for each in other.asked] == [f"/v2/{NAME}/blobs/{digest}"]
    assert "authorization" not in other.asked[0].headers
    assert secrets_seen(other) == []


def test_the_challenge_of_a_server_that_was_redirected_to_is_not_answered(
    private: Registry, other: Registry, connect: Connect
) -> None:
    digest = private.put_blob(NAME, CONTENT)
    private.misbehave(faults.elsewhere(other.url), path="/blobs/")
    for challenge in ('Basic realm="x"', f'Bearer realm="{other.token_url}"', f'Bearer realm="{private.token_url}"'):
        other.misbehave(faults.status(401, WWW_Authenticate=challenge), times=1)
        with pytest.raises(UpstreamFailedError, match=r"^hub redirects to a server that answers 401$"):
            connect(private, auth=USER).blob(NAME, digest)
    assert len(other.asked) == 3
    assert secrets_seen(other) == []


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_a_server_that_was_redirected_to_and_fails_is_a_failure_of_the_upstream(
    remote: Registry, other: Registry, connect: Connect, status: int
) -> None:
    digest = remote.put_blob(NAME, CONTENT)
    remote.misbehave(faults.elsewhere(other.url), path="/blobs/")
    other.misbehave(faults.status(status))
    with pytest.raises(UpstreamFailedError, match=rf"^hub redirects to a server that answers {status}$"):
        connect(remote).blob(NAME, digest)


def test_check_says_how_we_stand(private: Registry, connect: Connect) -> None:
    private.misbehave(faults.changed(lambda it: it.having(RateLimit_Limit="100;w=21600", RateLimit_Remaining="76;w=1")))
    standing = connect(private, auth=USER).check()
    assert (standing.scheme, standing.token_service, standing.user) == ("bearer", private.host, "user")
    assert (standing.limit, standing.remaining) == (100, 76)
    assert "scope" not in private.asked[1].query
    private.realm = ""
    assert connect(private, auth=USER).check().scheme == "basic"
    private.login = None
    assert connect(private, auth=USER).check().scheme == ""
