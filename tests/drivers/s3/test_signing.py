"""Signatures against those of the SDK, and what becomes of a call whose signature is not accepted."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from drivers.base import NotPermittedError, PathNotFoundError, UnavailableError
from drivers.calls.request import Request

pytest.importorskip("boto3", reason="the s3 extra is not installed")

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SdkCredentials

from drivers.s3 import credentials as credentials_module
from drivers.s3.bucket import Bucket
from drivers.s3.credentials import Credentials
from drivers.s3.driver import S3Driver
from drivers.s3.endpoint import Endpoint
from drivers.s3.parameters import parse
from drivers.s3.signing import Signer, query_of
from registry.foundation.pool import Pool
from tests.drivers.s3.recording import HEAD, Answer, Asked, Recorder, recording, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW: Final = datetime(2026, 11, 27, 1, 2, 3, tzinfo=UTC)


@pytest.fixture
def at_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK and us sign at the same moment."""
    monkeypatch.setattr(time, "time", NOW.timestamp)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None))


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with recording() as running:
        yield running


def signer(host: str = "images.example.com", token: str | None = None) -> Signer:
    endpoint = Endpoint("https", host, "", "eu-central-1", "s3")
    return Signer(endpoint, Credentials(SdkCredentials("AKIDEXAMPLE", "sec/ret+", token), lambda: None))


REQUESTS: Final = {
    "GET": Request("GET", "/docker/registry/v2/x"),
    "an odd key": Request("GET", "/a%20b/%C3%A4%2B%26%3D%25~"),
    "a range": Request("GET", "/x", headers=(("Range", "bytes=5-"), ("If-Match", '"e t  ag"'))),
    "PUT": Request("PUT", "/x", headers=(("Content-Type", "application/octet-stream"),), body=b"content"),
    "a condition": Request("PUT", "/x", headers=(("If-None-Match", "*"), ("x-amz-acl", "public-read")), body=b"1"),
    "a list": Request("GET", "/", query_of({"list-type": "2", "prefix": "a b/\u00e4&=", "max-keys": "1"})),
    "a deletion": Request("POST", "/", query_of({"delete": ""}), (("Content-MD5", "abc=="),), b"<Delete/>"),
}


@pytest.mark.usefixtures("at_one_time")
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("token", [None, "tok/en=="], ids=["lasting", "session"])
@pytest.mark.parametrize("host", ["images.example.com", "127.0.0.1:9000", "[::1]:9000"])
def test_a_signature_is_the_one_that_the_sdk_makes(request_: Request, token: str | None, host: str) -> None:
    made = dict(signer(host, token).signed(request_))
    own: Any = AWSRequest(
        request_.method, f"https://{host}{request_.target}", dict(request_.headers), request_.body or None
    )
    botocore.auth.S3SigV4Auth(SdkCredentials("AKIDEXAMPLE", "sec/ret+", token), "s3", "eu-central-1").add_auth(own)

    assert made["Authorization"] == own.headers["Authorization"]
    assert made["host"] == host


@pytest.mark.usefixtures("at_one_time")
@pytest.mark.parametrize("token", [None, "tok/en=="], ids=["lasting", "session"])
@pytest.mark.parametrize("path", ["/docker/registry/v2/x", "/a%20b/%C3%A4%2B%26%3D%25~"])
def test_a_url_is_the_one_that_the_sdk_makes(token: str | None, path: str) -> None:
    made = signer(token=token).presigned("HEAD", path, 1200)
    own: Any = AWSRequest("HEAD", f"https://images.example.com{path}")
    auth = botocore.auth.S3SigV4QueryAuth(
        SdkCredentials("AKIDEXAMPLE", "sec/ret+", token), "s3", "eu-central-1", expires=1200
    )
    auth.add_auth(own)

    assert urlsplit(made)[:3] == urlsplit(own.url)[:3]
    assert dict(parse_qsl(urlsplit(made).query)) == dict(parse_qsl(urlsplit(own.url).query))


def test_a_key_of_a_day_is_not_used_on_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    signing, request = signer(), Request("GET", "/x")
    for day in range(3):
        at = NOW + timedelta(days=day)
        monkeypatch.setattr(time, "time", at.timestamp)
        assert dict(signing.signed(request))["Authorization"] == dict(signer().signed(request))["Authorization"]
        assert f"/{at:%Y%m%d}/eu-central-1/" in dict(signing.signed(request))["Authorization"]


# Credentials that are not accepted


@pytest.mark.parametrize(("status", "code"), [(400, "ExpiredToken"), (403, "InvalidAccessKeyId")])
def test_credentials_that_the_store_does_not_accept_any_more_are_searched_for_again(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    shared = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
    monkeypatch.setattr(credentials_module, "_RENEWED_SECONDS", 0.0)
    shared.write_text("[default]\naws_access_key_id=old\naws_secret_access_key=s\naws_session_token=t\n")
    recorder.answer = lambda asked: Answer() if asked.access_key == "new" else refusal(status, code)
    driver = S3Driver.from_parameters(recorder.unsigned())

    with pytest.raises((UnavailableError, NotPermittedError), match=code):
        driver.get("/a/b", limit=10)
    shared.write_text("[default]\naws_access_key_id=new\naws_secret_access_key=s\n")
    recorder.asked.clear()

    assert [driver.get("/a/b", limit=10) for _ in range(2)] == [b"ok", b"ok"]
    assert [asked.access_key for asked in recorder.asked] == ["old", "new", "new"]
    assert "x-amz-security-token" in recorder.asked[0].headers
    assert "x-amz-security-token" not in recorder.asked[1].headers


def test_the_sdk_signs_with_what_was_found_last(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
    monkeypatch.setattr(credentials_module, "_RENEWED_SECONDS", 0.0)
    shared.write_text("[default]\naws_access_key_id=old\naws_secret_access_key=s\n")
    recorder.answer = lambda asked: (
        Answer(body=b"") if asked.access_key == "new" else refusal(403, "InvalidAccessKeyId")
    )
    objects = Bucket(parse(recorder.unsigned()), Pool(1, "s3-copy"))
    shared.write_text("[default]\naws_access_key_id=new\naws_secret_access_key=s\n")

    objects.get("a/b", limit=10)
    objects.put_final("a/b", BytesIO(bytes(2 * 1024 * 1024)))

    assert [(asked.method, asked.access_key) for asked in recorder.asked] == [
        ("GET", "old"),
        ("GET", "new"),
        ("PUT", "new"),
    ]


def test_credentials_of_the_configuration_that_are_not_accepted_are_told_at_once(recorder: Recorder) -> None:
    recorder.answer = lambda _: refusal(403, "InvalidAccessKeyId")

    with pytest.raises(NotPermittedError, match="InvalidAccessKeyId no; check what these credentials may do"):
        S3Driver.from_parameters(recorder.parameters()).get("/a/b", limit=10)
    assert len(recorder.asked) == 1


def test_credentials_that_come_later_are_found_without_a_restart(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(credentials_module, "_RENEWED_SECONDS", 0.0)
    driver = S3Driver.from_parameters(recorder.unsigned())
    with pytest.raises(UnavailableError, match="Unable to locate credentials"):
        driver.get("/a/b", limit=10)

    shared.write_text("[default]\naws_access_key_id=new\naws_secret_access_key=s\n")

    assert driver.get("/a/b", limit=10) == b"ok"


# A clock that is wrong


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_wrong_clock_is_told_by_the_store_once(recorder: Recorder, hours: int) -> None:
    def answer(asked: Asked) -> Answer:
        theirs = datetime.now(UTC) + timedelta(hours=hours)
        signed = datetime.strptime(asked.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        date = {"Date": format_datetime(theirs, usegmt=True)}
        if abs(signed - theirs) > timedelta(minutes=15):
            return refusal(403, "RequestTimeTooSkewed", headers=date)
        return Answer(headers=HEAD | date)

    recorder.answer = answer
    driver = S3Driver.from_parameters(recorder.parameters())

    driver.stat("/a/b")  # a refusal of HEAD does not say why
    assert driver.get("/a/b", limit=10) == b"ok"
    assert [asked.method for asked in recorder.asked] == ["HEAD", "HEAD", "GET"]
    url = driver.redirect_url("/a/b", method="GET") or ""
    signed = datetime.strptime(parse_qs(urlsplit(url).query)["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(signed - datetime.now(UTC) - timedelta(hours=hours)) < timedelta(minutes=10)


OLD: Final = {"Date": "Wed, 21 Oct 2015 07:28:00 GMT"}


@pytest.mark.parametrize(
    ("operation", "calls", "refused"),
    [
        ("get", 1, refusal(403, "AccessDenied", headers=OLD)),
        ("get", 2, refusal(403, "RequestTimeTooSkewed", headers=OLD)),
        ("stat", 2, Answer(403, OLD, b"")),
        ("get", 1, refusal(403, "RequestTimeTooSkewed", headers={"Date": "Wed, 21 Oct 99999 07:28:00 GMT"})),
    ],
    ids=["another reason", "a clock that it does not go by", "without a reason", "a date that is none"],
)
def test_a_time_that_the_store_does_not_accept_is_not_signed_with(
    recorder: Recorder, operation: str, calls: int, refused: Answer
) -> None:
    driver = S3Driver.from_parameters(recorder.parameters())
    recorder.answer = lambda _: refused

    with pytest.raises(NotPermittedError):
        driver.stat("/a/b") if operation == "stat" else driver.get("/a/b", limit=10)
    assert len(recorder.asked) == calls
    recorder.answer = lambda _: Answer()
    driver.put("/a/b", b"x")

    url = driver.redirect_url("/a/b", method="GET") or ""
    for moment in (recorder.asked[-1].headers["x-amz-date"], parse_qs(urlsplit(url).query)["X-Amz-Date"][0]):
        signed = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        assert abs(signed - datetime.now(UTC)) < timedelta(minutes=10)


def test_an_object_that_is_not_there_shows_that_the_time_was_accepted(recorder: Recorder) -> None:
    theirs = {"Date": format_datetime(datetime.now(UTC) + timedelta(hours=3), usegmt=True)}
    recorder.answer = lambda _: Answer(403 if len(recorder.asked) == 1 else 404, theirs, b"")
    parameters = recorder.parameters(redirectendpoint="https://store.example")
    driver = S3Driver.from_parameters(parameters)

    for _ in range(2):
        with pytest.raises(PathNotFoundError):
            driver.stat("/a/b")
    assert len(recorder.asked) == 3
    url = driver.redirect_url("/a/b", method="GET") or ""
    signed = datetime.strptime(parse_qs(urlsplit(url).query)["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert signed - datetime.now(UTC) > timedelta(hours=2)


def test_a_refusal_by_a_store_whose_clock_is_right_is_told_at_once(recorder: Recorder) -> None:
    date = {"Date": format_datetime(datetime.now(UTC), usegmt=True)}
    recorder.answer = lambda _: refusal(403, "AccessDenied", headers=date)

    with pytest.raises(NotPermittedError, match="AccessDenied"):
        S3Driver.from_parameters(recorder.parameters()).get("/a/b", limit=10)
    assert len(recorder.asked) == 1


# A bucket in another region


@pytest.mark.parametrize(
    "elsewhere",
    [
        refusal(400, "AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>"),
        refusal(301, "PermanentRedirect", headers={"x-amz-bucket-region": "eu-west-3"}),
        refusal(307, "TemporaryRedirect", headers={"x-amz-bucket-region": "eu-west-3", "Location": "http://else/"}),
        Answer(400, {"x-amz-bucket-region": "eu-west-3"}, b""),
    ],
    ids=["the signature", "moved for ever", "moved", "nothing but a header"],
)
@pytest.mark.parametrize("operation", ["stat", "get", "read", "put"])
def test_a_bucket_in_another_region_is_found_there_once(recorder: Recorder, elsewhere: Answer, operation: str) -> None:
    recorder.answer = lambda asked: Answer() if asked.region == "eu-west-3" else elsewhere
    driver = S3Driver.from_parameters(recorder.parameters())
    if operation == "stat" and not elsewhere.headers:
        pytest.skip("an answer to HEAD has no content")

    for _ in range(2):
        match operation:
            case "stat":
                assert driver.stat("/a/b").size == 2
            case "get":
                assert driver.get("/a/b", limit=10) == b"ok"
            case "read":
                assert b"".join(driver.read("/a/b")) == b"ok"
            case _:
                driver.put("/a/b", b"x")

    assert [asked.region for asked in recorder.asked] == ["us-east-1", "eu-west-3", "eu-west-3"]
    assert "%2Feu-west-3%2F" in (driver.redirect_url("/a/b", method="GET") or "")


@pytest.mark.parametrize("region", ["us-east-1", "", "not a region/"])
def test_a_store_that_names_no_other_region_is_not_asked_again(recorder: Recorder, region: str) -> None:
    recorder.answer = lambda _: refusal(400, "AuthorizationHeaderMalformed", f"<Region>{region}</Region>")

    with pytest.raises(Exception, match="GetObject a/b: AuthorizationHeaderMalformed"):
        S3Driver.from_parameters(recorder.parameters()).get("/a/b", limit=10)
    assert len(recorder.asked) == 1
