"""The S3 driver against a server that is stricter than the emulators, and that fails when told to."""

from __future__ import annotations

import hashlib
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.base import (
    ChangedError,
    DriverError,
    Found,
    NoSpaceError,
    NotPermittedError,
    NotWritableError,
    PathNotFoundError,
    UnavailableError,
    UploadBusyError,
)
from drivers.s3.staging import INLINE_SIZE, PartPlan, Record
from registry.config.values import UploadPurging
from registry.jobs.purge import purge
from registry.storage.repository import Repositories
from tests.drivers.conformance import BLOB, ROOT, UPLOAD, DriverConformance, Medium, noise, upload

pytest.importorskip("boto3", reason="the s3 extra is not installed")

from drivers.s3.driver import S3Driver
from drivers.s3.parameters import parse
from tests.drivers.s3.strict import Answer, HangUpError, Multipart, RefusedError, StrictS3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1024 * 1024
PLAN = PartPlan(size=100_000, count=20, growth=10, largest=10_000_000)
"""Parts so small that a test can have many; the server is told to accept them."""


def connect(server: StrictS3, plan: PartPlan | None = None, **more: object) -> S3Driver:
    parameters: dict[str, object] = {
        "bucket": "b",
        "regionendpoint": server.endpoint,
        "forcepathstyle": True,
        "accesskey": "a",
        "secretkey": "s",
        "chunksize": 5 * MIB,
    }
    return S3Driver(parse(parameters | more), plan)


@pytest.fixture
def server() -> Iterator[StrictS3]:
    with StrictS3(least_part=PLAN.size) as running:
        yield running


@pytest.fixture
def driver(server: StrictS3) -> S3Driver:
    return connect(server, PLAN)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the SDK retry at once; gives the pauses that it would have made."""
    pauses: list[float] = []
    me, sleep = threading.get_ident(), time.sleep

    def note(seconds: float) -> None:
        if threading.get_ident() == me:
            pauses.append(seconds)
        else:  # what an earlier test has left behind may go on sleeping
            sleep(seconds)

    monkeypatch.setattr("botocore.endpoint.time.sleep", note)
    return pauses


def failing(operation: str, error: Exception, times: int = 10**9) -> Callable[[str, str], None]:
    """Give a hook that raises `error` at the first `times` calls of the operations, given as words of a text."""
    left = [times]

    def fail(called: str, key: str) -> None:
        del key
        if called in operation.split() and left[0]:
            left[0] -= 1
            raise error

    return fail


class _Strict(Medium):
    def __init__(self, server: StrictS3) -> None:
        self.server = server

    def everything(self) -> set[str]:
        return {f"/{key}" for key in self.server.objects} | set(self.server.multiparts)

    def content(self, path: str) -> bytes:
        return self.server.objects[path[1:]]

    def write(self, path: str, content: bytes) -> None:
        connect(self.server).put(path, content)


@pytest.mark.s3
class TestS3DriverOnAStrictServer(DriverConformance):
    memory_bound: ClassVar[int] = 512 * MIB  # the server's objects are in this process
    examples: ClassVar[int] = 10

    @pytest.fixture
    def medium(self) -> Iterator[_Strict]:
        with StrictS3(least_part=PLAN.size) as server:
            yield _Strict(server)

    @pytest.fixture
    def driver(self, medium: _Strict) -> S3Driver:
        return connect(medium.server, PLAN)


# Listing


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(names=st.sets(st.text("a-.b", min_size=1, max_size=4).filter(lambda name: name[0] != "."), max_size=12),
       objects=st.booleans(), limit=st.integers(1, 5))  # fmt: skip
def test_names_that_begin_alike_are_listed_in_byte_order_page_by_page(
    names: set[str], objects: bool, limit: int
) -> None:
    with StrictS3() as server:
        for name in names:
            server.objects[f"docker/{name}/x"] = b""
            if objects and len(name) % 2:
                server.objects[f"docker/{name}"] = b""
        driver, found = connect(server), list[str]()

        while page := driver.list("/docker", after=found[-1] if found else "", limit=limit):
            assert len(page) <= limit
            found += page

    assert found == sorted(names)


def test_a_page_of_tags_costs_the_same_in_a_large_repository(server: StrictS3, driver: S3Driver) -> None:
    names = sorted(f"{major}.{minor}.{patch}{flavour}" for major in range(10) for minor in range(10)
                   for patch in range(10) for flavour in ("", "-alpine", "-slim"))  # fmt: skip
    for name in names:
        server.objects[f"docker/tags/{name}/current/link"] = b""
    server.calls.clear()

    assert driver.list("/docker/tags", after="5.0.0", limit=100) == names[names.index("5.0.0") + 1 :][:100]

    assert server.calls["ListObjectsV2"] <= 4
    assert server.calls.total() == server.calls["ListObjectsV2"]


def test_an_object_behind_a_thousand_siblings_is_deleted_with_all_below(server: StrictS3, driver: S3Driver) -> None:
    siblings = {f"docker/a-{number}" for number in range(1500)}
    server.objects = dict.fromkeys(siblings | {f"docker/a/{number}" for number in range(2500)}, b"")

    driver.delete("/docker/a")

    assert server.objects.keys() == siblings
    assert server.calls["DeleteObjects"] == 3


# Uploads


@pytest.mark.parametrize(
    ("size", "chunk"),
    [
        (PLAN.size, MIB),
        (PLAN.size + 1, MIB),
        (19 * PLAN.size, MIB),
        (20 * PLAN.size, MIB),
        (437 * PLAN.size + 13, MIB),
        (PLAN.size, 70_000),
        (42 * PLAN.size + 13, 70_000),
    ],
)
def test_parts_are_equal_and_few_however_long_the_upload(
    server: StrictS3, driver: S3Driver, size: int, chunk: int
) -> None:
    content, sent = noise(size), 0
    driver.create_upload(UPLOAD)
    while sent < size:
        with driver.open_upload(UPLOAD) as writer:
            assert writer.size == sent
            writer.write(content[sent : sent + chunk])
        sent = min(sent + chunk, size)
    with driver.open_upload(UPLOAD) as writer:
        writer.commit(BLOB)

    assert server.objects == {BLOB[1:]: content}
    assert server.multiparts == {}
    assert all(len(sizes) <= PLAN.count + PLAN.growth for sizes in server.joined_sizes)


@pytest.mark.parametrize("size", [5 * MIB, 10 * MIB, 32 * MIB, 64 * MIB, 600 * MIB, 5 * 1024 * MIB])
def test_ten_thousand_parts_of_any_plan_are_five_terabytes(size: int) -> None:
    plan, part_size, count = PartPlan(size), size, 0
    while count < 10_000:
        if plan.grows(part_size, count):
            part_size, count = part_size * plan.growth, count // plan.growth
        else:
            count += 1

    assert part_size * count >= 5 * 10**12
    assert part_size <= 5 * 1024 * MIB


def test_a_small_upload_is_one_put_at_its_destination(server: StrictS3, driver: S3Driver) -> None:
    driver.create_upload(UPLOAD)
    with driver.open_upload(UPLOAD) as writer:
        writer.write(b"config")
        server.calls.clear()
        writer.commit(BLOB)

    assert server.calls == {"HeadObject": 1, "PutObject": 1, "DeleteObject": 1}


def test_ten_thousand_chunks_of_one_byte_leave_no_object_each(server: StrictS3, driver: S3Driver) -> None:
    driver.create_upload(UPLOAD)
    for number in range(200):
        with driver.open_upload(UPLOAD) as writer:
            writer.write(b"%d" % (number % 10))

    assert len(server.objects) == 1
    assert driver.upload_size(UPLOAD) == 200


def test_bytes_come_back_once_at_most_to_be_made_parts(server: StrictS3, driver: S3Driver) -> None:
    chunk = INLINE_SIZE + 1000
    driver.create_upload(UPLOAD)
    server.sent = server.received = 0
    for _ in range(100):
        with driver.open_upload(UPLOAD) as writer:
            writer.write(noise(chunk))

    records = 100 * (2000 + INLINE_SIZE)
    assert server.received < 2 * 100 * chunk + records
    assert server.sent < 100 * chunk + records


def test_of_two_requests_for_one_offset_one_is_refused_and_the_bytes_are_the_others(
    server: StrictS3, driver: S3Driver
) -> None:
    common, first, second = noise(150_000, seed=1), noise(330_000, seed=2), noise(330_000, seed=3)
    driver.create_upload(UPLOAD)
    with driver.open_upload(UPLOAD) as writer:
        writer.write(common)
    one, two = driver.open_upload(UPLOAD), driver.open_upload(UPLOAD)
    one.write(first)
    two.write(second)
    one.close()
    with pytest.raises(UploadBusyError):
        two.close()

    with driver.open_upload(UPLOAD) as writer:
        assert writer.checkpoint == one.checkpoint
        assert b"".join(writer.content()) == common + first
        writer.commit(BLOB)
    assert server.objects == {BLOB[1:]: common + first}


@pytest.mark.parametrize("compares", [True, False])
def test_a_request_replayed_beside_a_commit_publishes_nothing_of_its_own(compares: bool) -> None:
    content, other = noise(450_000, seed=1), noise(450_000, seed=2)
    with StrictS3(least_part=PLAN.size, compares=compares) as server:
        driver = connect(server, PLAN)
        driver.create_upload(UPLOAD)
        with driver.open_upload(UPLOAD) as writer:
            writer.write(content[:250_000])
        late = driver.open_upload(UPLOAD)
        late.write(other)
        with driver.open_upload(UPLOAD) as writer:
            writer.write(content[250_000:])
            writer.commit(BLOB)
        with pytest.raises(DriverError):
            late.commit(f"{BLOB}-late")
        late.close()

        assert server.objects == {BLOB[1:]: content}
        assert server.multiparts == {}


@pytest.mark.parametrize("compares", [True, False])
def test_objects_are_replaced_and_deleted_as_expected_also_where_the_store_does_not_compare(compares: bool) -> None:
    with StrictS3(compares=compares) as server:
        driver = connect(server, PLAN)
        driver.put(BLOB, b"old")
        for change in (driver.delete_if, partial(driver.replace, content=b"new")):
            with pytest.raises(ChangedError):
                change(BLOB, expected=b"odd")
        driver.replace(BLOB, b"new", expected=b"old")
        assert server.objects == {BLOB[1:]: b"new"}
        driver.delete_if(BLOB, expected=b"new")

        assert server.objects == {}


def test_what_is_put_while_a_deletion_looks_is_not_deleted(server: StrictS3, driver: S3Driver) -> None:
    def put_another(operation: str, key: str) -> None:
        if operation == "PutObject" and server.objects[key] == b"old":
            server.objects[key] = b"another"

    driver.put(BLOB, b"old")
    server.before = put_another

    with pytest.raises(ChangedError):
        driver.delete_if(BLOB, expected=b"old")

    assert server.objects == {BLOB[1:]: b"another"}


def test_many_writers_at_one_upload_publish_what_one_of_them_saw(server: StrictS3, driver: S3Driver) -> None:
    for _ in range(5):
        published: list[bytes] = []
        driver.create_upload(UPLOAD)

        def push(seed: int, published: list[bytes] = published) -> None:
            content = noise(250_000 + seed, seed=seed)
            with suppress(DriverError), driver.open_upload(UPLOAD) as writer:
                if writer.size:
                    return
                writer.write(content)
                writer.commit(BLOB)
                published.append(content)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(push, range(6)))
        assert server.objects.get(BLOB[1:], b"") in [*published, b""]
        with suppress(PathNotFoundError):
            driver.delete(f"{ROOT}/uploads/1")
        with suppress(PathNotFoundError):
            driver.delete(BLOB)
    assert server.objects == {}


@pytest.mark.parametrize("first_new", [0, 1, 3])
def test_what_arrived_before_a_part_that_failed_is_kept(
    server: StrictS3, driver: S3Driver, first_new: int, impatient: list[float]
) -> None:
    del impatient
    content, passed = noise(600_000), [0]
    driver.create_upload(UPLOAD)
    with driver.open_upload(UPLOAD) as writer:
        writer.write(content[:80_000])

    def fail(operation: str, key: str) -> None:
        if operation == "PutObject" and not key.endswith("/state"):
            passed[0] += 1
            if passed[0] > first_new:
                raise RefusedError(503, "SlowDown")

    server.before = fail
    with pytest.raises(UnavailableError), driver.open_upload(UPLOAD) as writer:
        writer.write(content[80_000:])
    server.before = lambda operation, key: None  # noqa: ARG005

    with driver.open_upload(UPLOAD) as writer:
        assert writer.size >= 80_000
        writer.write(content[writer.size :])
        writer.commit(BLOB)
    assert server.objects[BLOB[1:]] == content
    with suppress(PathNotFoundError):
        driver.delete(f"{ROOT}/uploads/1")
    assert server.objects.keys() == {BLOB[1:]}


def test_a_commit_that_failed_can_be_made_again(server: StrictS3, driver: S3Driver) -> None:
    content = noise(330_000)
    driver.create_upload(UPLOAD)
    for operation in ("CreateMultipartUpload", "UploadPartCopy", "UploadPart", "CompleteMultipartUpload"):
        server.before = failing(operation, RefusedError(403, "AccessDenied"))
        with driver.open_upload(UPLOAD) as writer:
            writer.write(content[writer.size :])
            with pytest.raises(DriverError, match=operation):
                writer.commit(BLOB)
        assert server.multiparts == {}
        assert BLOB[1:] not in server.objects
    server.before = lambda operation, key: None  # noqa: ARG005

    with driver.open_upload(UPLOAD) as writer:
        assert writer.size == len(content)
        writer.commit(BLOB)
    assert server.objects == {BLOB[1:]: content}


def test_deleting_an_upload_ends_a_commit_that_a_crash_cut_short(server: StrictS3, driver: S3Driver) -> None:
    driver.create_upload(UPLOAD)
    with driver.open_upload(UPLOAD) as writer:
        writer.write(noise(330_000))
        server.before = failing("UploadPartCopy AbortMultipartUpload", RefusedError(403, "AccessDenied"))
        with pytest.raises(DriverError):
            writer.commit(BLOB)
    server.before = lambda operation, key: None  # noqa: ARG005
    assert len(server.multiparts) == 1

    driver.delete(f"{ROOT}/uploads/1")

    assert server.multiparts == {}
    assert server.objects == {}


def test_the_purge_aborts_what_others_began_long_ago(server: StrictS3) -> None:
    driver = connect(server, rootdirectory="/images/")
    long_ago = datetime.now(UTC) - timedelta(days=8)
    server.multiparts = {
        "old": Multipart("images/docker/registry/v2/x", begun=long_ago),
        "new": Multipart("images/docker/registry/v2/x"),
        "theirs": Multipart("images-of-others/x", begun=long_ago),
    }

    assert driver.purge(time.time() - 7 * 86400) == 1
    assert server.multiparts.keys() == {"new", "theirs"}


def test_a_part_is_not_sent_before_there_is_room_for_it(server: StrictS3, driver: S3Driver) -> None:
    under_way, most, lock = [0], [0], threading.Lock()

    def enter(operation: str, key: str) -> None:
        if operation == "PutObject" and not key.endswith("/state"):
            with lock:
                under_way[0] += 1
                most[0] = max(most[0], under_way[0])
            time.sleep(0.01)

    def leave(operation: str, key: str, answer: Answer) -> None:
        del answer
        if operation == "PutObject" and not key.endswith("/state"):
            with lock:
                under_way[0] -= 1

    server.before, server.after = enter, leave
    driver.create_upload(UPLOAD)
    with driver.open_upload(UPLOAD) as writer:
        writer.write(noise(19 * PLAN.size))
        writer.cancel()

    assert 2 <= most[0] <= 4


def test_a_full_disk_under_the_spool_keeps_what_was_sent(
    server: StrictS3, driver: S3Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = noise(350_000)

    def full(self: object, piece: bytes) -> None:
        del self, piece
        raise NoSpaceError("spool: No space left on device")

    driver.create_upload(UPLOAD)
    with driver.open_upload(UPLOAD) as writer:
        writer.write(content[:250_000])
        with monkeypatch.context() as patch:
            patch.setattr("drivers.s3.staging.Spool.write", full)
            with pytest.raises(NoSpaceError):
                writer.write(b"no room")

    with driver.open_upload(UPLOAD) as writer:
        assert writer.size == 200_000
        writer.write(content[200_000:])
        writer.commit(BLOB)
    assert server.objects == {BLOB[1:]: content}


# A server in trouble


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (429, "TooManyRequests"), (500, "InternalError")])
def test_throttling_is_waited_out_and_then_reported(
    server: StrictS3, driver: S3Driver, impatient: list[float], status: int, code: str
) -> None:
    server.before = failing("PutObject", RefusedError(status, code), times=2)
    driver.put(BLOB, b"x")
    assert len(impatient) == 2

    server.before = failing("PutObject", RefusedError(status, code))
    with pytest.raises(UnavailableError, match=f"^s3: PutObject {BLOB[1:]}: {code}"):
        driver.put(BLOB, b"y")
    assert driver.get(BLOB, limit=1) == b"x"


def test_a_download_that_breaks_off_goes_on_where_it_was(server: StrictS3, driver: S3Driver) -> None:
    content = noise(3 * MIB)
    driver.put(BLOB, content)
    cuts = [MIB, 100]

    def cut(operation: str, key: str, answer: Answer) -> None:
        del key
        if operation == "GetObject" and cuts:
            answer.cut = cuts.pop()

    server.after = cut

    assert b"".join(driver.read(BLOB, 7)) == content[7:]
    assert server.calls["GetObject"] == 3


def test_a_download_that_breaks_off_does_not_go_on_in_another_object(server: StrictS3, driver: S3Driver) -> None:
    driver.put(BLOB, noise(3 * MIB))
    server.after = lambda operation, key, answer: setattr(answer, "cut", 2 * MIB)  # noqa: ARG005
    pieces = driver.read(BLOB)
    next(pieces)
    server.objects[BLOB[1:]] = bytes(3 * MIB)

    with pytest.raises(DriverError, match="replaced"):
        list(pieces)


def test_a_record_whose_answer_was_lost_is_recognised(
    server: StrictS3, driver: S3Driver, impatient: list[float]
) -> None:
    del impatient
    lost = [1]

    def lose(operation: str, key: str, answer: Answer) -> None:
        del answer
        if operation == "PutObject" and key.endswith("/state") and lost:
            lost.pop()
            raise HangUpError

    driver.create_upload(UPLOAD)
    server.after = lose
    with driver.open_upload(UPLOAD) as writer:
        writer.write(b"kept")

    assert not lost
    with driver.open_upload(UPLOAD) as again:
        assert again.checkpoint == writer.checkpoint
        assert again.size == 4


@pytest.mark.parametrize("line", [b"", b"{}", b'{"version":2}', b"[]", b"\xff"])
def test_a_malformed_record_is_an_error_that_says_so(server: StrictS3, driver: S3Driver, line: bytes) -> None:
    driver.create_upload(UPLOAD)
    (key,) = server.objects
    server.objects[key] = line

    with pytest.raises(DriverError, match="record of an upload"):
        driver.open_upload(UPLOAD)


def test_a_record_is_read_as_it_was_written() -> None:
    record = Record(5, "c", ("a", "b"), (("f", 3),), b"\n\x00tail", ("k", "t"))

    assert Record.load(record.dump()) == record
    assert record.size == 19


def test_the_check_says_which_call_failed_and_how(server: StrictS3, driver: S3Driver, impatient: list[float]) -> None:
    del impatient
    server.before = failing("ListObjectsV2", RefusedError(403, "InvalidAccessKeyId"))
    with pytest.raises(DriverError, match=r"^s3: ListObjectsV2 of bucket b: InvalidAccessKeyId.* at http://127"):
        driver.check()

    with pytest.raises(UnavailableError, match=r"^s3: ListObjectsV2 of bucket b: [^\n]*127\.0\.0\.1:1\b[^\n]*$"):
        connect(server, regionendpoint="http://127.0.0.1:1").check()


def test_calls_are_logged_without_headers_when_that_is_asked_for(
    server: StrictS3, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    connect(server).put(BLOB, b"x")
    assert caplog.messages == []

    connect(server, loglevel="debug").put(BLOB, b"x")
    assert caplog.messages == ["PutObject: 200"]


# Redirects


def test_a_redirect_lets_anyone_read_for_twenty_minutes(driver: S3Driver) -> None:
    driver.put(BLOB, b"content")

    url = driver.redirect_url(BLOB, method="GET")

    assert url
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["1200"]
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"content"
    assert driver.redirect_url(BLOB, method="DELETE") is None


def test_a_redirect_goes_to_the_endpoint_that_clients_reach(server: StrictS3) -> None:
    driver = connect(server, redirectendpoint="https://images.example.com")

    url = urlsplit(driver.redirect_url(BLOB, method="GET") or "")

    assert (url.scheme, url.netloc, url.path) == ("https", "images.example.com", f"/b{BLOB}")
    assert "host" in parse_qs(url.query)["X-Amz-SignedHeaders"][0]


def test_objects_lie_where_the_go_registry_puts_them(server: StrictS3) -> None:
    upload(connect(server, rootdirectory="/some/root/"), b"x")
    upload(connect(server), b"y")

    assert server.objects == {f"some/root{BLOB}": b"x", BLOB[1:]: b"y"}


# Walking, and deleting what was found


def found_in(driver: S3Driver, path: str = ROOT) -> list[Found]:
    return sorted(driver.walk(path), key=lambda found: found.path)


def fill(server: StrictS3, count: int) -> None:
    for number in range(count):
        server._store(f"docker/blobs/{hashlib.sha256(b'%d' % number).hexdigest()}/data", b"%d" % number)


def test_a_walk_costs_a_listing_for_each_thousand_objects_and_nothing_else(server: StrictS3, driver: S3Driver) -> None:
    fill(server, 2_500)

    assert len(found_in(driver)) == 2_500
    assert server.calls == {"ListObjectsV2": 3}


def test_what_other_programs_left_in_the_bucket_is_passed_over(server: StrictS3, driver: S3Driver) -> None:
    for key in ("docker/a b/x", "docker/folder/", "docker//x", "docker/.hidden/x", "docker/x/.upload/y", "docker/ä"):
        server._store(key, b"x")
    driver.put(BLOB, b"x")

    assert [found.path for found in driver.walk(ROOT)] == [BLOB]


@pytest.mark.parametrize(
    ("every", "calls"),
    [
        (1, {"ListObjectsV2": 3, "DeleteObjects": 3}),  # 2,500 of 2,500
        (10, {"ListObjectsV2": 3, "DeleteObjects": 1}),  # 250 of them
        (100, {"ListObjectsV2": 1, "HeadObject": 15, "DeleteObjects": 1}),  # 25 of them: the listing told of ten
        (1250, {"HeadObject": 2, "DeleteObjects": 1}),
    ],
)
def test_what_is_to_be_deleted_is_looked_at_in_listings_as_long_as_these_tell_many(
    server: StrictS3, driver: S3Driver, every: int, calls: dict[str, int]
) -> None:
    fill(server, 2_500)
    chosen = found_in(driver)[::every]
    server.calls.clear()

    assert driver.discard(chosen) == []

    assert server.calls == calls
    assert len(server.objects) == 2_500 - len(chosen)


def test_what_is_put_between_the_look_and_the_deletion_is_kept_by_the_condition(
    server: StrictS3, driver: S3Driver
) -> None:
    fill(server, 30)
    found = found_in(driver)
    late, gone = found[4].path, found[5].path

    def put_late(operation: str, key: str) -> None:
        del key
        if operation == "DeleteObjects":
            server._store(late[1:], b"pushed again")
            server.objects.pop(gone[1:], None)

    server.before = put_late

    assert driver.discard(found) == [late]
    assert server.objects == {late[1:]: b"pushed again"}


@pytest.mark.parametrize("code", ["NotImplemented", "MalformedXML"])
def test_a_store_without_conditional_deletions_compares_before(code: str) -> None:
    with StrictS3(compares=False, refuses_with=code) as server:
        driver = connect(server)
        fill(server, 30)
        found = found_in(driver)
        server._store(found[4].path[1:], b"pushed again")

        assert driver.discard(found) == [found[4].path]
        assert list(server.objects) == [found[4].path[1:]]


def test_one_object_that_may_not_be_deleted_is_told_after_all_others_are(server: StrictS3, driver: S3Driver) -> None:
    fill(server, 30)
    found = found_in(driver)

    def refuse(operation: str, key: str) -> None:
        if operation == "delete" and key == found[4].path[1:]:
            raise RefusedError(403, "AccessDenied")

    server.before = refuse

    with pytest.raises(NotWritableError, match=f"DeleteObjects {found[4].path[1:]}: AccessDenied"):
        driver.discard(found)
    assert list(server.objects) == [found[4].path[1:]]


def test_one_object_that_cannot_be_looked_at_is_told_after_all_others_are_deleted(
    server: StrictS3, driver: S3Driver
) -> None:
    fill(server, 10)
    found = found_in(driver)

    def refuse(operation: str, key: str) -> None:
        if operation == "HeadObject" and key == found[4].path[1:]:
            raise RefusedError(403, "AccessDenied")

    server.before = refuse

    with pytest.raises(NotPermittedError, match="HeadObject"):
        driver.discard(found)
    assert list(server.objects) == [found[4].path[1:]]


@pytest.mark.parametrize("times", [2, 10**6])
def test_what_the_store_is_too_busy_to_delete_is_deleted_later(
    server: StrictS3, driver: S3Driver, impatient: list[float], times: int
) -> None:
    fill(server, 30)
    found = found_in(driver)
    busy, left = {each.path[1:] for each in found[:3]}, [times]

    def slow_down(operation: str, key: str) -> None:
        if operation == "delete" and key in busy and left[0]:
            left[0] -= 1
            raise RefusedError(503, "SlowDown")

    server.before = slow_down

    if times == 2:
        assert driver.discard(found) == []
        assert server.objects == {}
    else:
        with pytest.raises(UnavailableError, match="SlowDown"):
            driver.discard(found)
        assert server.calls["DeleteObjects"] == 5
        assert {*server.objects} == busy
    assert impatient


@pytest.mark.parametrize("lost", ["startedat", "state"])
def test_what_is_left_of_an_upload_that_could_not_be_begun_is_purged_one_day(
    server: StrictS3, driver: S3Driver, lost: str
) -> None:
    def refuse(operation: str, key: str) -> None:
        if operation == "PutObject" and key.endswith(lost):
            raise RefusedError(403, "AccessDenied")

    repositories = Repositories(driver)
    server.before = refuse
    with pytest.raises(NotPermittedError):
        repositories.open("app").uploads.start()
    server.before = lambda operation, key: None  # noqa: ARG005
    assert len(server.objects) == 1

    purged = [purge(repositories, UploadPurging(age_seconds=-60)) for _ in range(2)]

    assert sum(purged) == 1
    assert server.objects == {}
