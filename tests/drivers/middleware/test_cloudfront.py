"""CloudFront's signed URLs, verified as CloudFront does it, and who is left with the bucket's own."""

from __future__ import annotations

import base64
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from botocore.signers import CloudFrontSigner
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from drivers.inmemory import InMemoryDriver
from drivers.middleware.cloudfront import CloudFrontMiddleware
from registry.foundation.errors import ParameterError
from tests.drivers.conformance import in_parallel
from tests.drivers.middleware.cloudfront import NETWORKS, NetworksServer, key_file, serving_networks
from tests.serving import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOB = "/docker/registry/v2/blobs/sha256/ab/abcd/data"
STORE = "https://bucket.example/signed"
IN_FRANKFURT, IN_VIRGINIA, ELSEWHERE = "192.0.2.1", "192.0.2.200", "198.51.100.1"


class Bucket(InMemoryDriver):
    """Objects in a bucket of S3."""

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        del path, method, client
        return STORE

    def object_key(self, path: str) -> str | None:
        return f"some root{path}"


@pytest.fixture
def key(tmp_path: Path) -> str:
    return key_file(tmp_path)


@pytest.fixture
def networks() -> Iterator[NetworksServer]:
    with serving_networks() as server:
        yield server


@pytest.fixture(autouse=True)
def _nobody_reads_on() -> Iterator[None]:
    """Wait for what still fetches the document, so that no other test sees what it logs."""
    yield
    for thread in threading.enumerate():
        if thread.name == "aws-networks":
            thread.join()


def cloudfront(key: str, **options: Any) -> CloudFrontMiddleware:
    given = {"baseurl": "cdn.example/images", "keypairid": "KEXAMPLE", "privatekey": key} | options
    return CloudFrontMiddleware.from_options(Bucket(), given)


def private_key(path: str) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(Path(path).read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def url_for(driver: CloudFrontMiddleware, client: str = "") -> str:
    return driver.redirect_url(BLOB, method="GET", client=client) or ""


def verify(key: str, url: str, **changed: str) -> int:
    """Return when `url` expires, if it is signed with `key`; `changed` parts of it break the signature."""
    resource, _, query = url.partition("?")
    given = parse_qs(query, strict_parsing=True)
    assert set(given) == {"Expires", "Signature", "Key-Pair-Id"}
    resource, expires = changed.get("resource", resource), changed.get("expires", given["Expires"][0])
    policy = (
        f'{{"Statement":[{{"Resource":"{resource}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}}}]}}'
    )
    signature = base64.b64decode(given["Signature"][0].translate(str.maketrans("-_~", "+=/")))
    private_key(key).public_key().verify(signature, policy.encode(), PKCS1v15(), SHA1())
    return int(given["Expires"][0])


def test_a_url_is_signed_for_one_object_and_twenty_minutes(key: str) -> None:
    before = int(time.time())

    url = url_for(cloudfront(key))

    assert url.startswith(f"https://cdn.example/images/some%20root{BLOB}?")
    assert before + 1200 <= verify(key, url) <= time.time() + 1200
    for changed in ({"resource": "https://cdn.example/images/other"}, {"expires": "9999999999"}):
        with pytest.raises(InvalidSignature):
            verify(key, url, **changed)


def test_amazons_own_signer_makes_the_same_url(key: str) -> None:
    url = url_for(cloudfront(key))
    resource, _, query = url.partition("?")
    expires = datetime.fromtimestamp(int(parse_qs(query)["Expires"][0]), UTC)
    signer = CloudFrontSigner("KEXAMPLE", lambda message: private_key(key).sign(message, PKCS1v15(), SHA1()))

    assert signer.generate_presigned_url(resource, date_less_than=expires) == url


@pytest.mark.parametrize(
    ("baseurl", "beginning"),
    [
        ("cdn.example", "https://cdn.example/some"),
        ("https://cdn.example/", "https://cdn.example/some"),
        ("http://cdn.example:8080/a/b/", "http://cdn.example:8080/a/b/some"),
    ],
)
def test_a_base_url_without_a_scheme_is_one_of_https(key: str, baseurl: str, beginning: str) -> None:
    url = url_for(cloudfront(key, baseurl=baseurl))

    assert url.startswith(beginning)
    assert verify(key, url)


def test_a_url_lives_as_long_as_it_is_told_to(key: str) -> None:
    before = int(time.time())

    expires = verify(key, url_for(cloudfront(key, duration="1h30m")))

    assert before + 5400 <= expires <= time.time() + 5400


def test_a_key_may_be_in_either_format(tmp_path: Path) -> None:
    key = key_file(tmp_path, PrivateFormat.PKCS8)

    assert verify(key, url_for(cloudfront(key)))


@pytest.mark.parametrize("kind", ["text", "elliptic", "encrypted"])
def test_another_key_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    elliptic = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    password = BestAvailableEncryption(b"password")
    encrypted = private_key(key_file(tmp_path)).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, password)
    path = tmp_path / "other.pem"
    path.write_bytes({"text": b"no key", "elliptic": elliptic, "encrypted": encrypted}[kind])

    with pytest.raises(ParameterError, match=r"^privatekey: .*other\.pem is not an RSA key[^\n]*$"):
        cloudfront(str(path))


def test_before_a_driver_without_a_bucket_it_says_once_that_it_has_no_effect(
    key: str, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"baseurl": "cdn.example", "keypairid": "K", "privatekey": key}
    driver = CloudFrontMiddleware.from_options(InMemoryDriver(), options)

    for _ in range(2):
        assert driver.redirect_url(BLOB, method="GET") is None
    assert caplog.messages == ["cloudfront: the inmemory driver keeps nothing in a bucket of S3: without effect"]


# Who is near the bucket


def wait_for_document(driver: CloudFrontMiddleware, client: str) -> None:
    wait_until(f"{client} is known to be near the bucket", lambda: url_for(driver, client) == STORE)


@pytest.mark.parametrize("client", [IN_FRANKFURT, IN_VIRGINIA, "203.0.113.7", "2001:db8:1::5", "::ffff:192.0.2.127"])
def test_clients_in_amazons_networks_are_left_with_the_bucket(key: str, networks: NetworksServer, client: str) -> None:
    driver = cloudfront(key, ipfilteredby="AWS", iprangesurl=networks.url)

    wait_for_document(driver, client)

    for other in (ELSEWHERE, "203.0.113.8", "203.0.113.6", "2001:db8:2::5", "", "unknown", "192.0.2.1:80"):
        assert verify(key, url_for(driver, other))
    assert networks.asked == 1


def test_many_who_ask_at_once_have_the_document_fetched_once(key: str, networks: NetworksServer) -> None:
    driver = cloudfront(key, ipfilteredby="aws", iprangesurl=networks.url)

    in_parallel(lambda: url_for(driver, IN_FRANKFURT) for _ in range(32))
    wait_for_document(driver, IN_FRANKFURT)

    assert networks.asked == 1


def test_of_regions_only_those_that_are_named_count(key: str, networks: NetworksServer) -> None:
    driver = cloudfront(key, ipfilteredby="awsregion", awsregion=" EU-central-1 , eu-west-1", iprangesurl=networks.url)

    wait_for_document(driver, IN_FRANKFURT)

    assert verify(key, url_for(driver, IN_VIRGINIA))
    assert verify(key, url_for(driver, "2001:db8:1::5"))


def test_without_a_filter_nothing_is_fetched(key: str, networks: NetworksServer) -> None:
    driver = cloudfront(key, iprangesurl=networks.url)

    assert verify(key, url_for(driver, IN_FRANKFURT))
    assert networks.asked == 0


@pytest.mark.parametrize("name", ["updatefrequency", "updatefrenquency"])
def test_the_networks_are_read_again_when_they_are_old(key: str, networks: NetworksServer, name: str) -> None:
    driver = cloudfront(key, ipfilteredby="aws", iprangesurl=networks.url, **{name: "1s"})
    wait_for_document(driver, IN_FRANKFURT)

    networks.document = {"prefixes": [{"ip_prefix": "198.51.100.0/24", "region": "x"}], "ipv6_prefixes": []}
    wait_for_document(driver, ELSEWHERE)

    assert verify(key, url_for(driver, IN_FRANKFURT))


@pytest.mark.parametrize("broken", [None, b"no JSON", b"[]", b"{}", {**NETWORKS, "prefixes": [{"ip_prefix": "x"}]}])
def test_what_was_known_stays_in_force_while_the_document_cannot_be_read(
    key: str, networks: NetworksServer, broken: object, caplog: pytest.LogCaptureFixture
) -> None:
    driver = cloudfront(key, ipfilteredby="aws", iprangesurl=networks.url, updatefrequency="1s")
    wait_for_document(driver, IN_FRANKFURT)

    networks.document = broken
    wait_until("it says so", lambda: url_for(driver, IN_FRANKFURT) and caplog.messages)

    assert url_for(driver, IN_FRANKFURT) == STORE
    assert caplog.messages[0].startswith(f"cloudfront: iprangesurl {networks.url}: ")
    assert "\n" not in caplog.messages[0]


def test_until_the_document_was_read_everybody_goes_to_cloudfront_and_nobody_waits(key: str) -> None:
    driver = cloudfront(key, ipfilteredby="aws", iprangesurl="http://127.0.0.1:1/")

    assert verify(key, url_for(driver, IN_FRANKFURT))
