"""What the real service does and fake-gcs-server does not, and what it does in bad moments: ``make test-gcs``."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from drivers import pending
from drivers.base import (
    PIECE_SIZE,
    DriverError,
    PathNotFoundError,
    UnavailableError,
    UploadBusyError,
)
from registry.foundation.errors import ParameterError
from tests.drivers.conformance import BLOB, LIMIT, ROOT, UPLOAD, noise, upload

pytest.importorskip("google.cloud.storage", reason="the gcs extra is not installed")


from drivers.calls import waits
from drivers.gcs.driver import GcsDriver
from drivers.gcs.uploads import below_upload
from tests.drivers.gcs.server import BUCKET, GcsMedium, GcsServer, key_of_account
from tests.drivers.proxy import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.gcs


@pytest.fixture
def medium(gcs: GcsServer) -> GcsMedium:
    return GcsMedium(gcs)


@pytest.fixture
def driver(medium: GcsMedium) -> GcsDriver:
    return medium.driver()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no attempt wait for the one before it to be forgotten."""
    monkeypatch.setattr(waits, "_FIRST_SECONDS", 0.001)


def stored_parts(medium: GcsMedium) -> list[list[Any]]:
    parts: list[list[Any]] = json.loads(medium.content(f"{below_upload(UPLOAD)}state"))["parts"]
    return parts


# Uploads


def test_a_writer_that_lost_its_upload_to_another_publishes_nothing(driver: GcsDriver, medium: GcsMedium) -> None:
    driver.create_upload(UPLOAD)
    with driver.open_upload(UPLOAD) as late:
        with medium.driver().open_upload(UPLOAD) as quick:
            quick.write(b"quick")
        late.write(b"late!")
        with pytest.raises(UploadBusyError, match="another request has changed or ended the upload"):
            late.commit(BLOB)

    with pytest.raises(PathNotFoundError):
        driver.stat(BLOB)
    with driver.open_upload(UPLOAD) as writer:
        writer.commit(BLOB)
    assert medium.content(BLOB) == b"quick"
    assert medium.everything() == {BLOB}


def test_a_writer_that_lost_its_upload_cannot_keep_its_bytes_either(driver: GcsDriver, medium: GcsMedium) -> None:
    driver.create_upload(UPLOAD)
    late = driver.open_upload(UPLOAD)
    with medium.driver().open_upload(UPLOAD) as quick:
        quick.write(b"quick")
    late.write(b"late!")

    with pytest.raises(UploadBusyError):
        late.close()

    assert late.size == 0
    assert len(medium.everything()) == 2  # the state and one part
    driver.delete(UPLOAD)


def test_parts_carry_like_digits_and_come_out_in_their_order(driver: GcsDriver, medium: GcsMedium) -> None:
    driver._part_size = 3
    content = noise(3 * 1023)

    driver.create_upload(UPLOAD)
    with driver.open_upload(UPLOAD) as writer:
        writer.write(content)

    assert [level for *_, level in stored_parts(medium)] == [1] * 31 + [0] * 31
    with driver.open_upload(UPLOAD) as writer:
        assert b"".join(writer.content()) == content
        writer.commit(BLOB)
    assert medium.content(BLOB) == content
    assert medium.everything() == {BLOB}


def test_parts_of_many_requests_carry_too(driver: GcsDriver, medium: GcsMedium) -> None:
    content = noise(70)
    driver.create_upload(UPLOAD)
    for position in range(len(content)):
        with driver.open_upload(UPLOAD) as writer:
            writer.write(content[position : position + 1])

    assert [size for _, _, size, _ in stored_parts(medium)] == [32, 32, 1, 1, 1, 1, 1, 1]
    assert len(medium.everything()) == 9
    with driver.open_upload(UPLOAD) as writer:
        writer.commit(BLOB)
    assert medium.content(BLOB) == content


def test_parts_that_others_read_along_with_carry_too(
    driver: GcsDriver, medium: GcsMedium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "FLUSH_SECONDS", 0)  # the next flush would come after the last part
    driver._part_size = 3
    content, reader, read = noise(3 * 100), medium.driver(), b""
    driver.create_upload(UPLOAD)

    with driver.open_upload(UPLOAD) as writer:
        for start in range(0, len(content), 10):
            writer.write(content[start : start + 10])
            writer.flush()
            stored = {f"{below_upload(UPLOAD)}{name}" for name, *_ in stored_parts(medium)}
            assert stored <= medium.everything()
            read += b"".join(reader.read_upload(UPLOAD, len(read)))
            assert content.startswith(read)
    assert [level for *_, level in stored_parts(medium)] == [1, 1, 1, 0, 0, 0, 0]
    assert len(medium.everything()) == 8

    assert b"".join(reader.read_upload(UPLOAD, 5)) == content[5:]
    with driver.open_upload(UPLOAD) as writer:
        writer.commit(BLOB)
    assert medium.content(BLOB) == content
    assert medium.everything() == {BLOB}


def test_a_part_that_changed_is_not_published(driver: GcsDriver, medium: GcsMedium) -> None:
    driver.create_upload(UPLOAD)
    with driver.open_upload(UPLOAD) as writer:
        writer.write(b"true")
    part = next(path for path in medium.everything() if not path.endswith("/state"))
    medium.write(part, b"lies")

    with driver.open_upload(UPLOAD) as writer, pytest.raises(DriverError):
        writer.commit(BLOB)

    with pytest.raises(PathNotFoundError):
        driver.stat(BLOB)
    driver.delete(UPLOAD)


def test_an_upload_whose_publishing_failed_can_be_published_again(driver: GcsDriver, medium: GcsMedium) -> None:
    def refuse(method: str, target: str, passed: Callable[[], Answer]) -> Answer | None:
        del method, passed
        return Answer(403, body=b"no") if "/compose" in target else None

    driver.create_upload(UPLOAD)
    with driver.open_upload(UPLOAD) as writer:
        writer.write(b"kept")
    with medium.server.proxy.intercepting(refuse), driver.open_upload(UPLOAD) as writer:
        writer.write(b" and lost")
        with pytest.raises(DriverError, match="compose"):
            writer.commit(BLOB)

    assert driver.upload_size(UPLOAD) == 4
    with driver.open_upload(UPLOAD) as writer:
        writer.commit(BLOB)
    assert medium.content(BLOB) == b"kept"
    assert medium.everything() == {BLOB}


def test_what_came_before_a_part_that_failed_is_kept(driver: GcsDriver, medium: GcsMedium) -> None:
    parts = itertools.count(1)

    def refuse_the_third(method: str, target: str, passed: Callable[[], Answer]) -> Answer | None:
        del passed
        is_part = method == "POST" and "ifGenerationMatch=0" in target
        return Answer(403, body=b"no") if is_part and next(parts) == 3 else None

    content = noise(6 * PIECE_SIZE)
    driver.create_upload(UPLOAD)
    with medium.server.proxy.intercepting(refuse_the_third):
        writer = driver.open_upload(UPLOAD)
        with pytest.raises(DriverError):
            writer.write(content)
        writer.close()
        size = writer.size

    assert size in {PIECE_SIZE, 2 * PIECE_SIZE, 3 * PIECE_SIZE}  # of two on their way either may arrive first
    with driver.open_upload(UPLOAD) as writer:
        assert writer.size == size
        writer.write(content[size:])
        writer.commit(BLOB)
    assert medium.content(BLOB) == content


def test_an_answer_that_was_lost_does_not_lose_the_upload(driver: GcsDriver, medium: GcsMedium) -> None:
    lost = 0

    def lose_one(method: str, target: str, passed: Callable[[], Answer]) -> Answer | None:
        nonlocal lost
        if method == "POST" and "ifGenerationMatch=" in target and "ifGenerationMatch=0" not in target and not lost:
            lost += passed().status == 200
            return Answer(503)
        return None

    driver.create_upload(UPLOAD)
    with medium.server.proxy.intercepting(lose_one), driver.open_upload(UPLOAD) as writer:
        writer.write(b"arrived")
    assert lost == 1
    with driver.open_upload(UPLOAD) as again:
        assert again.checkpoint == writer.checkpoint
        again.commit(BLOB)
    assert medium.content(BLOB) == b"arrived"


def test_an_upload_of_the_go_registry_is_begun_again(driver: GcsDriver, medium: GcsMedium) -> None:
    medium.write(UPLOAD, b"the tail of a session of theirs")

    with pytest.raises(PathNotFoundError):
        driver.open_upload(UPLOAD)
    driver.delete(UPLOAD)


# Reading


def test_a_download_that_breaks_off_goes_on_where_it_broke(driver: GcsDriver, medium: GcsMedium) -> None:
    content = noise(3 * PIECE_SIZE)
    driver.put(BLOB, content)
    targets = []

    def break_off(method: str, target: str, passed: Callable[[], Answer]) -> Answer | None:
        del method
        targets.append(target)
        answer = passed()
        answer.cut = PIECE_SIZE + 5 if len(targets) < 3 else None
        return answer

    with medium.server.proxy.intercepting(break_off):
        assert b"".join(driver.read(BLOB)) == content

    assert len(targets) >= 3
    assert all("generation=" in target for target in targets[1:])


@pytest.mark.usefixtures("impatient")
def test_throttling_asks_for_patience_and_is_tried_again_first(driver: GcsDriver, medium: GcsMedium) -> None:
    count = 0

    def throttle(method: str, target: str, passed: Callable[[], Answer]) -> Answer:
        nonlocal count
        del method, target, passed
        count += 1
        return Answer(429, body=b"slow down")

    with medium.server.proxy.intercepting(throttle):
        for call in (
            lambda: driver.put(BLOB, b"x"),
            lambda: driver.get(BLOB, limit=9),
            lambda: driver.stat(BLOB),
            lambda: driver.read(BLOB),
            lambda: driver.list(ROOT, limit=9),
            lambda: driver.delete(BLOB),
            lambda: driver.open_upload(UPLOAD),
        ):
            count = 0
            with pytest.raises(UnavailableError, match=r"^gcs: [^\n]*$"):
                call()
            assert count > 1


def test_a_listing_costs_its_own_page_and_not_the_bucket(driver: GcsDriver, medium: GcsMedium) -> None:
    names = sorted(["v1", *(f"v1.{number:03}-rc" for number in range(60))])
    for name in names:
        driver.put(f"{ROOT}/tags/{name}/current/link", b"x")
    traffic = medium.server.proxy.traffic

    after = ""
    found: list[str] = []
    pages = 0
    traffic.reset()
    while page := driver.list(f"{ROOT}/tags", after=after, limit=10):
        found, after, pages = found + page, page[-1], pages + 1

    assert found == names
    assert traffic.calls["GET"] <= 3 * (pages + 1)


_LOADING = """
import json, sys
from drivers.gcs.driver import GcsDriver
driver = GcsDriver.from_parameters(json.loads(sys.argv[1]))
def push(path, content):
    driver.create_upload(path)
    with driver.open_upload(path) as writer:
        writer.write(content)
        writer.commit(f"{path}/blob")
    assert driver.get(f"{path}/blob", limit=len(content)) == content
push("/small", b"small")
assert b"".join(driver.read("/small/blob")) == b"small"
driver.list("/small", limit=9)
driver.redirect_url("/small/blob", method="GET")
assert "google.cloud.storage" not in sys.modules
push("/large", bytes(int(sys.argv[2]) + 1))
assert "google.cloud.storage" in sys.modules
"""


def test_the_sdk_is_loaded_when_parts_are_composed_and_not_before(medium: GcsMedium) -> None:
    anonymous = json.dumps(medium.server.parameters(medium.root, chunksize=PIECE_SIZE))
    subprocess.run([sys.executable, "-c", _LOADING, anonymous, str(PIECE_SIZE)], check=True, timeout=60)


# URLs, and what is wrong with a configuration


def test_a_signed_url_gives_the_object_for_twenty_minutes(driver: GcsDriver, medium: GcsMedium) -> None:
    driver.put(BLOB, b"content")
    signing = medium.driver(credentials=key_of_account())

    url = signing.redirect_url(BLOB, method="GET")

    assert url
    assert "X-Goog-Expires=1200" in url
    assert "X-Goog-Algorithm=GOOG4-RSA-SHA256" in url
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"content"


def test_a_redirect_leads_to_the_endpoint_that_clients_reach_and_all_else_does_not(medium: GcsMedium) -> None:
    public, key = medium.server.proxy, key_of_account()
    inside = f"http://{public.upstream}"
    outside = f"http://127.0.0.1:{public.server_port}"
    driver = medium.driver(endpoint=inside, redirectendpoint=outside)
    signing = medium.driver(endpoint=inside, redirectendpoint=f"{outside}/", credentials=key)
    public.traffic.reset()
    upload(driver, b"content")

    url = signing.redirect_url(BLOB, method="GET") or ""

    assert not public.traffic.calls
    assert url.startswith(f"{outside}/{BUCKET}/")
    verify(key, url)
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"content"
    assert public.traffic.calls == {"GET": 1}


def verify(key: dict[str, str], url: str) -> None:
    """Check the signature of `url` as the service does, host included: fake-gcs-server takes any."""
    parts = urlsplit(url)
    query, _, signature = parts.query.rpartition("&X-Goog-Signature=")
    given = dict(parse_qsl(query))
    request = "\n".join(("GET", parts.path, query, f"host:{parts.netloc}\n", "host", "UNSIGNED-PAYLOAD"))
    scope = given["X-Goog-Credential"].partition("/")[2]
    signed = ("GOOG4-RSA-SHA256", given["X-Goog-Date"], scope, hashlib.sha256(request.encode()).hexdigest())
    private = load_pem_private_key(key["private_key"].encode(), None)
    assert isinstance(private, RSAPrivateKey)
    private.public_key().verify(bytes.fromhex(signature), "\n".join(signed).encode(), PKCS1v15(), SHA256())


def test_without_credentials_that_sign_there_is_no_url(driver: GcsDriver) -> None:
    assert driver.redirect_url(BLOB, method="GET") is None


def test_a_bucket_that_is_not_there_is_said_in_one_line(medium: GcsMedium) -> None:
    with pytest.raises(DriverError, match=r"^gcs: list the bucket nowhere: [^\n]*there is no such bucket[^\n]*$"):
        GcsDriver.from_parameters(medium.server.parameters(bucket="nowhere")).check()


def test_an_endpoint_that_is_not_there_is_said_in_one_line() -> None:
    driver = GcsDriver.from_parameters({"bucket": "b", "endpoint": "http://127.0.0.1:1"})

    with pytest.raises(UnavailableError, match=r"^gcs: list the bucket b: [^\n]*refused[^\n]*$"):
        driver.check()


def test_a_malformed_key_stops_the_start() -> None:
    with pytest.raises(ParameterError, match=r"^credentials: is not a service account: [^\n]*$"):
        GcsDriver.from_parameters({"bucket": "b", "credentials": {"type": "service_account"}})


def test_what_is_published_by_one_request_takes_few_calls(driver: GcsDriver, medium: GcsMedium) -> None:
    methods = []

    def note(method: str, target: str, passed: Callable[[], Answer]) -> None:
        del target, passed
        methods.append(method)

    with medium.server.proxy.intercepting(note):
        upload(driver, b"x" * 1000)

    assert methods == ["POST", "GET", "DELETE", "POST"]
    assert driver.get(BLOB, limit=LIMIT) == b"x" * 1000
