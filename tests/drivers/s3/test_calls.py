"""What the SDK does silently, done by us: whom a call reaches, by which way, for whom, and with what."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

from drivers.base import (
    DriverError,
    Found,
    NoSpaceError,
    NotWritableError,
    ObjectTooLargeError,
    PathExistsError,
    PathNotFoundError,
    UnavailableError,
)

pytest.importorskip("boto3", reason="the s3 extra is not installed")

from drivers.s3.bucket import Bucket
from drivers.s3.driver import S3Driver
from drivers.s3.parameters import parse
from registry.foundation.errors import ParameterError
from registry.foundation.pool import Pool
from tests.drivers.s3.recording import HEAD, Answer, Asked, Recorder, recording, refusal
from tests.foundation.http_client.servers import listening, read_head
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    import socket
    import threading
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.drivers.s3.servers import S3Server

OBJECT: Final = "/docker/x"


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with recording() as running:
        yield running


@pytest.fixture(autouse=True)
def no_metadata(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the SDK from what this machine has of credentials and configuration."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in (
        "AWS_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
        "AWS_PROFILE",
        "AWS_REGION",
        "http_proxy",
        "no_proxy",
        "NO_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)


def connect(parameters: dict[str, object]) -> S3Driver:
    return S3Driver.from_parameters(parameters)


# Endpoints


@pytest.mark.parametrize(
    ("section", "url"),
    [
        ({"region": "eu-west-1"}, "https://images.s3.eu-west-1.amazonaws.com/docker/x"),
        ({"region": "eu-west-1", "forcepathstyle": True}, "https://s3.eu-west-1.amazonaws.com/images/docker/x"),
        ({"region": "eu-west-1", "bucket": "a.b"}, "https://s3.eu-west-1.amazonaws.com/a.b/docker/x"),
        ({"region": "eu-west-1", "secure": False}, "http://images.s3.eu-west-1.amazonaws.com/docker/x"),
        ({"region": "eu-west-1", "accelerate": True}, "https://images.s3-accelerate.amazonaws.com/docker/x"),
        ({"region": "eu-west-1", "usedualstack": True}, "https://images.s3.dualstack.eu-west-1.amazonaws.com/docker/x"),
        ({"region": "us-east-1", "usefipsendpoint": True}, "https://images.s3-fips.us-east-1.amazonaws.com/docker/x"),
        ({"region": "cn-north-1"}, "https://images.s3.cn-north-1.amazonaws.com.cn/docker/x"),
        (
            {"region": "eu-west-1", "bucket": "arn:aws:s3:eu-west-1:123456789012:accesspoint/ap"},
            "https://ap-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/docker/x",
        ),
        ({"regionendpoint": "http://[::1]:9000/pre"}, "http://[::1]:9000/pre/images/docker/x"),
        ({"regionendpoint": "https://s.example", "forcepathstyle": False}, "https://images.s.example/docker/x"),
        (
            {"regionendpoint": "http://s.internal:9000", "redirectendpoint": "https://s.example"},
            "https://s.example/images/docker/x",
        ),
    ],
)
def test_urls_lead_where_those_of_the_sdk_lead(section: dict[str, object], url: str) -> None:
    driver = connect({"bucket": "images", "accesskey": "key", "secretkey": "secret"} | section)

    assert (driver.redirect_url(OBJECT, method="GET") or "").partition("?")[0] == url


def test_an_access_point_of_another_region_is_signed_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_S3_USE_ARN_REGION", "true")
    arn = "arn:aws:s3:eu-central-1:123456789012:accesspoint/ap"
    driver = connect({"bucket": arn, "region": "eu-west-1", "accesskey": "key", "secretkey": "secret"})

    assert "%2Feu-central-1%2Fs3%2F" in (driver.redirect_url(OBJECT, method="GET") or "")


@pytest.mark.parametrize(("host", "path"), [("::1", ""), ("127.0.0.1", "/pre/fix")])
def test_an_endpoint_may_be_an_address_of_version_6_or_have_a_path(host: str, path: str) -> None:
    with recording(host=host) as recorder:
        driver = connect(recorder.parameters(regionendpoint=recorder.url + path))
        driver.put(OBJECT, b"x")
        assert driver.get(OBJECT, limit=10) == b"ok"

    assert {asked.target for asked in recorder.asked} == {f"{path}/images{OBJECT}"}
    assert recorder.asked[0].headers["host"] == urlsplit(recorder.url).netloc


# Authorities and proxies


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "authority")


@pytest.mark.parametrize("way", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "the profile", "skipverify"])
def test_a_store_with_an_authority_of_ones_own_is_trusted_when_that_is_said(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "the profile":
        (tmp_path / "config").write_text(f"[default]\nca_bundle = {authority.path}\n")
    elif way != "skipverify":
        monkeypatch.setenv(way, str(authority.path))
    with recording(authority.serving_context("server")) as recorder:
        assert connect(recorder.parameters(skipverify=way == "skipverify")).get(OBJECT, limit=10) == b"ok"


def test_a_store_with_an_unknown_authority_is_not_trusted(authority: Authority) -> None:
    with recording(authority.serving_context("server")) as recorder:
        driver = connect(recorder.parameters(calltimeout="2s"))
        with pytest.raises(UnavailableError, match="GetObject docker/x: certificate verify failed"):
            driver.get(OBJECT, limit=10)

    assert recorder.asked == []


def test_a_file_of_authorities_that_cannot_be_read_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere/ca.pem")

    with pytest.raises(ParameterError, match=r"cafile: /nowhere/ca\.pem: .*; AWS_CA_BUNDLE or ca_bundle"):
        connect({"bucket": "images", "region": "eu-west-1", "accesskey": "key", "secretkey": "secret"})


def test_a_store_is_reached_by_the_proxy_of_the_environment(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", recorder.url.replace("//", "//user:pass@"))

    assert connect(recorder.parameters(regionendpoint="http://store.example:9000")).get(OBJECT, limit=10) == b"ok"
    assert recorder.asked[0].target == f"http://store.example:9000/images{OBJECT}"
    assert recorder.asked[0].headers["host"] == "store.example:9000"
    assert recorder.asked[0].headers["proxy-authorization"].startswith("Basic ")


# Credentials


def test_credentials_are_found_in_the_environment(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "mine"), ("SECRET_ACCESS_KEY", "s"), ("SESSION_TOKEN", "token")):
        monkeypatch.setenv(f"AWS_{name}", value)

    connect(recorder.unsigned()).get(OBJECT, limit=10)

    assert recorder.asked[0].access_key == "mine"
    assert recorder.asked[0].headers["x-amz-security-token"] == "token"


def test_a_session_token_of_the_configuration_is_sent(recorder: Recorder) -> None:
    connect(recorder.parameters(sessiontoken="token")).get(OBJECT, limit=10)

    assert recorder.asked[0].headers["x-amz-security-token"] == "token"


def test_credentials_are_found_in_the_profile_that_is_named(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credentials").write_text("[other]\naws_access_key_id=theirs\naws_secret_access_key=s\n")
    monkeypatch.setenv("AWS_PROFILE", "other")

    connect(recorder.unsigned()).get(OBJECT, limit=10)

    assert recorder.asked[0].access_key == "theirs"


@pytest.mark.parametrize("fault", ["a profile that is not there", "a file that is malformed"])
def test_a_configuration_of_the_sdk_that_cannot_be_used_stops_the_start(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    if fault == "a file that is malformed":
        (tmp_path / "config").write_text("[broken")
    else:
        monkeypatch.setenv("AWS_PROFILE", "nobody")

    with pytest.raises(ParameterError, match="the SDK's own configuration cannot be used"):
        connect(recorder.unsigned())


ROLE: Final = "arn:aws:iam::123456789012:role/registry"


def _sts(asked: str) -> bytes:
    action = "AssumeRoleWithWebIdentity" if "AssumeRoleWithWebIdentity" in asked else "AssumeRole"
    fields = (
        "<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>of-role</SessionToken>"
    )
    credentials = f"<Credentials>{fields}<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
    user = f"<AssumedRoleUser><Arn>{ROLE}</Arn><AssumedRoleId>A:b</AssumedRoleId></AssumedRoleUser>"
    return f"<{action}Response><{action}Result>{credentials}{user}</{action}Result></{action}Response>".encode()


@pytest.mark.parametrize("way", ["web identity", "a profile with a role"])
def test_the_credentials_of_a_role_are_fetched_once(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    asked_sts: list[str] = []

    def answer(asked: Asked) -> Answer:
        if asked.method != "POST":
            return Answer()
        asked_sts.append(asked.body.decode())
        return Answer(200, {"Content-Type": "text/xml"}, _sts(asked.body.decode()))

    recorder.answer = answer
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", recorder.url)
    if way == "web identity":
        (tmp_path / "token").write_text("a.web.token")
        monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    else:
        (tmp_path / "credentials").write_text("[base]\naws_access_key_id=base\naws_secret_access_key=s\n")
        (tmp_path / "config").write_text(f"[profile mine]\nrole_arn={ROLE}\nsource_profile=base\n")
        monkeypatch.setenv("AWS_PROFILE", "mine")

    driver = connect(recorder.unsigned())
    for _ in range(3):
        driver.get(OBJECT, limit=10)

    assert len(asked_sts) == 1
    gets = [asked for asked in recorder.asked if asked.method == "GET"]
    assert [asked.access_key for asked in gets] == ["ASIAROLE"] * 3
    assert gets[0].headers["x-amz-security-token"] == "of-role"


def test_the_credentials_of_a_container_are_fetched_and_refreshed_before_they_end(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = iter(["first", "second", "third", "fourth"])

    def answer(asked: Asked) -> Answer:
        if asked.target != "/credentials":
            return Answer()
        # Of those that end within ten minutes the SDK wants others.
        found = {"AccessKeyId": next(given), "SecretAccessKey": "s", "Token": "t", "Expiration": "2020-01-01T00:00:00Z"}
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(found).encode())

    recorder.answer = answer
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{recorder.url}/credentials")
    with pytest.raises(UnavailableError, match="expired"):
        connect(recorder.unsigned()).get(OBJECT, limit=10)

    assert [asked.target for asked in recorder.asked].count("/credentials") >= 2


# What is sent


def test_what_is_written_says_what_the_configuration_says_of_it(recorder: Recorder) -> None:
    section = recorder.parameters(
        encrypt=True, keyid="key of kms", storageclass="STANDARD_IA", objectacl="public-read", useragent="mine/1"
    )
    driver = connect(section)
    driver.put(OBJECT, b"x")
    driver.create(OBJECT, b"x")
    driver.create_upload("/docker/upload")

    final = {
        "content-type": "application/octet-stream",
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "key of kms",
        "x-amz-storage-class": "STANDARD_IA",
        "x-amz-acl": "public-read",
    }
    put, created, staged = recorder.asked
    assert final.items() <= put.headers.items()
    assert (final | {"if-none-match": "*"}).items() <= created.headers.items()
    assert not {"x-amz-acl", "x-amz-storage-class"} & staged.headers.keys()
    assert staged.headers["x-amz-server-side-encryption"] == "aws:kms"
    assert put.headers["user-agent"].endswith(" mine/1")
    signed = put.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {*final, "host", "x-amz-date", "x-amz-content-sha256"} == {*signed}


def test_an_object_without_content_is_written_and_read(recorder: Recorder) -> None:
    recorder.answer = lambda _: Answer(body=b"")
    driver = connect(recorder.parameters())

    driver.put(OBJECT, b"")
    assert driver.get(OBJECT, limit=0) == b""
    assert b"".join(driver.read(OBJECT)) == b""
    assert recorder.asked[0].headers["content-length"] == "0"


# What is answered


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (refusal(404, "NoSuchKey"), PathNotFoundError, "NoSuchKey no"),
        (refusal(404, "NoSuchBucket"), DriverError, "NoSuchBucket no"),
        (Answer(404, {}, b""), PathNotFoundError, "404 Not Found"),
        (Answer(404, {}, b"<!DOCTYPE html><html></html>"), PathNotFoundError, "404 Not Found"),
        (refusal(507, "XMinioStorageFull"), NoSpaceError, "XMinioStorageFull no"),
        (Answer(507, {}, b""), NoSpaceError, "507"),
        (refusal(403, "AccessDenied"), NotWritableError, "AccessDenied no; check what these credentials may do"),
        (Answer(302, {"Location": "http://127.0.0.1:1/"}, b""), DriverError, "302 Found"),
        (refusal(400, "KeyTooLongError"), DriverError, "KeyTooLongError no"),
        (Answer(200, {}, b""), UnavailableError, "an answer that cannot be understood"),
    ],
)
def test_an_answer_is_told_in_one_line(recorder: Recorder, answer: Answer, error: type[DriverError], text: str) -> None:
    recorder.answer = lambda _: answer

    with pytest.raises(error, match=f"s3: PutObject docker/x: {text}") as raised:
        connect(recorder.parameters()).put(OBJECT, b"x")
    assert len(recorder.asked) == 1
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    "code",
    [
        *("RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete", "BandwidthLimitExceeded"),
        *("SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled"),
        *("RequestThrottledException", "RequestLimitExceeded", "TooManyRequestsException", "InternalError"),
    ],
)
def test_a_store_that_is_busy_is_asked_again_whatever_the_status(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr("drivers.calls.caller.pause_seconds", lambda _: 0.0)
    recorder.answer = lambda _: refusal(400, code) if len(recorder.asked) < 3 else Answer()
    driver = connect(recorder.parameters())
    driver.put(OBJECT, b"x")
    assert len(recorder.asked) == 3

    recorder.answer = lambda _: refusal(400, code)
    with pytest.raises(UnavailableError, match=f"{code} no"):
        driver.get(OBJECT, limit=10)


@pytest.mark.parametrize(
    "body",
    [
        b"<Error><Code>InternalError</Code><Message>try again</Message></Error>",
        b"<!DOCTYPE x [<!ENTITY a 'b'>]><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
        b"<ListBucketResult><Name>b</Name></ListBucketResult>",
        b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        b"<ListBucketResult><IsTruncated>True</IsTruncated><NextContinuationToken/></ListBucketResult>",
        b"<ListBucketResult><IsTruncated/></ListBucketResult>",
        b"<ListBucketResult><IsTruncated>false",
        b"",
    ],
    ids=["an error", "entities", "no end", "no token", "an empty token", "an empty end", "half", "nothing"],
)
def test_what_is_not_a_listing_does_not_mean_that_there_is_nothing(recorder: Recorder, body: bytes) -> None:
    recorder.answer = lambda _: Answer(200, {}, body)
    driver = connect(recorder.parameters())

    with pytest.raises(UnavailableError, match="ListObjectsV2"):
        driver.list("/docker", limit=10)
    with pytest.raises(UnavailableError, match="ListObjectsV2"):
        list(driver.walk("/docker"))


def test_a_listing_without_etags_lists_names_and_has_no_versions(recorder: Recorder) -> None:
    listed = "<Size>1</Size><LastModified>2026-11-26T10:00:00.000Z</LastModified></Contents>"
    names = [f"a{number:02}" for number in range(30)]
    contents = "".join(f"<Contents><Key>docker/{name}</Key>{listed}" for name in names)
    page = f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>".encode()
    recorder.answer = lambda asked: Answer(body=page) if "list-type" in asked.target else Answer(body=b"")
    driver = connect(recorder.parameters())

    assert list(driver.list("/docker", limit=100)) == names
    with pytest.raises(DriverError, match="the endpoint tells no ETag of docker/a00"):
        list(driver.walk("/docker"))
    version = bucket(recorder.parameters()).ask("docker/a00").result()
    assert driver.discard([Found(f"/docker/{name}", 1, 0.0, version) for name in names]) == []
    deleted = [asked for asked in recorder.asked if asked.method == "POST"]
    assert [asked.body.count(b"<Key>") for asked in deleted] == [30]


def test_nothing_said_of_what_was_deleted_is_success(recorder: Recorder) -> None:
    recorder.answer = lambda _: Answer(200, {}, b"")

    bucket(recorder.parameters()).remove_all(["a", "b"])
    assert len(recorder.asked) == 1


def test_an_error_in_place_of_what_was_deleted_is_not_success(recorder: Recorder) -> None:
    recorder.answer = lambda _: refusal(200, "InternalError")

    with pytest.raises(UnavailableError, match="DeleteObjects"):
        bucket(recorder.parameters()).remove_all(["a", "b"])


def test_a_store_that_takes_no_notice_of_a_range_is_not_believed(recorder: Recorder) -> None:
    recorder.answer = lambda _: Answer(200, HEAD, b"from the beginning")

    with pytest.raises(DriverError, match="the whole object where a part was asked for"):
        list(connect(recorder.parameters()).read(OBJECT, 5))


def breaking_off(content: bytes, each: int, asked: list[bytes]) -> Callable[[socket.socket, threading.Event], None]:
    """Give a behaviour that sends the next `each` bytes of `content` at each request, and ends the connection."""

    def behave(connection: socket.socket, _: threading.Event) -> None:
        head = read_head(connection)
        asked.append(head)
        found = re.search(rb"[Rr]ange: bytes=(\d+)-", head)
        start = int(found[1]) if found else 0
        said = f'HTTP/1.1 {206 if found else 200} OK\r\nETag: "1"\r\nContent-Length: {len(content) - start}\r\n\r\n'
        connection.sendall(said.encode() + content[start : start + each])

    return behave


def test_a_download_goes_on_as_long_as_more_comes(recorder: Recorder) -> None:
    content, asked = bytes(range(80)), list[bytes]()
    with listening(breaking_off(content, 10, asked)) as endpoint:
        driver = connect(recorder.parameters(regionendpoint=endpoint))
        assert b"".join(driver.read(OBJECT)) == content
    assert len(asked) == 8

    asked.clear()
    with listening(breaking_off(content, 0, asked)) as endpoint:
        driver = connect(recorder.parameters(regionendpoint=endpoint))
        with pytest.raises(UnavailableError):
            list(driver.read(OBJECT))
    assert len(asked) == 3


@pytest.mark.parametrize("size", [11, 200_000])
def test_an_object_that_is_too_large_is_told_with_its_size(recorder: Recorder, size: int) -> None:
    recorder.answer = lambda _: Answer(200, HEAD, b"x" * size)

    with pytest.raises(ObjectTooLargeError, match=f"{size} bytes, at most 10 allowed"):
        connect(recorder.parameters()).get(OBJECT, limit=10)


def test_a_conflict_that_the_store_has_not_decided_is_not_taken_for_an_object(recorder: Recorder) -> None:
    recorder.answer = lambda _: refusal(409, "ConditionalRequestConflict")
    with pytest.raises(DriverError) as raised:
        connect(recorder.parameters()).create(OBJECT, b"x")
    assert not isinstance(raised.value, PathExistsError)

    recorder.answer = lambda _: refusal(412, "PreconditionFailed")
    with pytest.raises(PathExistsError):
        connect(recorder.parameters()).create(OBJECT, b"x")


# Real stores


def bucket(parameters: dict[str, object]) -> Bucket:
    return Bucket(parse(parameters), Pool(4, "s3-copy"))


ODD: Final = (
    *("a b", "a+b", "a%2Fb", "\u00e4\u20ac\U0001f600", "a&b<c>\"'", "?x=1#f", "a;b,c=d", "a~b_c.d-e", "{a}|b^`"),
    "(a)*!$@:",
)


@pytest.mark.s3
@pytest.mark.parametrize("v4", [True, False], ids=["version 4", "version 2"])
def test_keys_with_odd_characters_are_written_listed_signed_and_deleted(s3: S3Server, v4: bool) -> None:
    """SeaweedFS verifies signatures of both versions."""
    objects = bucket(s3.parameters(v4auth=v4))
    keys = [f"odd-{v4}/{each}" for each in ODD]
    for key in keys:
        objects.put(key, key.encode())

    assert sorted(objects.keys(f"odd-{v4}/")) == sorted(keys)
    for key in keys:
        assert objects.get(key, limit=1000) == key.encode()
        assert b"".join(objects.stream(key, 1)) == key.encode()[1:]
        assert objects.stat(key).size == len(key.encode())
        with urllib.request.urlopen(objects.signed_url(key, "GET") or "") as answer:
            assert answer.read() == key.encode()
    objects.delete(keys[0])
    objects.remove_all(keys)
    assert list(objects.keys(f"odd-{v4}/")) == []


@pytest.mark.s3
@pytest.mark.parametrize("v4", [True, False], ids=["version 4", "version 2"])
def test_a_wrong_secret_is_refused(s3: S3Server, v4: bool) -> None:
    objects = bucket(s3.parameters(v4auth=v4, secretkey="wrong"))

    with pytest.raises(DriverError, match="SignatureDoesNotMatch"):
        objects.get("x", limit=1)
