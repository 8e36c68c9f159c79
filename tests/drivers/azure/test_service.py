"""What the real service does and Azurite does not, and what it does in bad moments: run with ``make test-azure``."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest

from drivers.base import (
    PIECE_SIZE,
    ChangedError,
    DriverError,
    NotPermittedError,
    PathNotFoundError,
    UnavailableError,
    UploadBusyError,
)
from tests.drivers.conformance import BLOB, ROOT, UPLOAD, noise, upload

pytest.importorskip("azure.storage.blob", reason="the azure extra is not installed")
pytest.importorskip("azure.identity", reason="the azure extra is not installed")

from drivers.azure import container as azure_container
from drivers.azure import uploads as azure_uploads
from drivers.azure.driver import AzureDriver
from drivers.azure.errors import ConflictError
from tests.drivers.azure.server import ACCOUNT, AzureMedium, AzureServer
from tests.drivers.proxy import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.azure


@pytest.fixture
def medium(azure: AzureServer) -> AzureMedium:
    return AzureMedium(azure)


@pytest.fixture
def driver(medium: AzureMedium) -> AzureDriver:
    return medium.driver(retry_delay="1ms")


def refusal(status: int, code: str) -> Answer:
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code} is why.\nTime: now</Message></Error>'
    return Answer(status, [("x-ms-error-code", code), ("Content-Type", "application/xml")], body.encode())


def block_sizes(medium: AzureMedium) -> list[int]:
    committed, _ = medium.client.get_blob_client(medium.root + UPLOAD).get_block_list("committed")
    return [block.size for block in committed]


# Uploads


def test_a_writer_that_lost_its_upload_to_another_publishes_nothing(driver: AzureDriver, medium: AzureMedium) -> None:
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


def test_a_writer_that_wrote_nothing_does_not_publish_what_came_later(driver: AzureDriver, medium: AzureMedium) -> None:
    driver.create_upload(UPLOAD)
    with driver.open_upload(UPLOAD) as late:
        with medium.driver().open_upload(UPLOAD) as quick:
            quick.write(b"unseen by the late one")
        with pytest.raises(UploadBusyError):
            late.commit(BLOB)

    assert medium.everything() == {UPLOAD}
    driver.delete(UPLOAD)


def test_blocks_of_tiny_requests_are_gathered(driver: AzureDriver, medium: AzureMedium) -> None:
    content = noise(140)
    driver.create_upload(UPLOAD)
    for position in range(len(content)):
        with driver.open_upload(UPLOAD) as writer:
            writer.write(content[position : position + 1])

    assert block_sizes(medium) == [64 + 1 + 63 + 1, *[1] * 11]
    with driver.open_upload(UPLOAD) as writer:
        writer.commit(BLOB)
    assert medium.content(BLOB) == content
    assert medium.everything() == {BLOB}


def test_blocks_grow_so_that_their_number_does_not_end_an_upload(
    driver: AzureDriver, medium: AzureMedium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(azure_uploads, "_STEP", 3)  # of a number that no test can reach
    driver._block_size = 10
    content = noise(200)
    driver.create_upload(UPLOAD)
    for part in (content[:85], content[85:]):
        with driver.open_upload(UPLOAD) as writer:
            writer.write(part)

    assert block_sizes(medium) == [10, 10, 10, 20, 20, 15, 40, 40, 35]
    with driver.open_upload(UPLOAD) as writer:
        writer.commit(BLOB)
    assert medium.content(BLOB) == content


def test_what_came_before_a_block_that_failed_is_kept(driver: AzureDriver, medium: AzureMedium) -> None:
    blocks = itertools.count(1)

    def refuse_the_third(method: str, target: str, passed: Callable[[], Answer]) -> Answer | None:
        del passed
        is_block = method == "PUT" and "comp=block&" in target
        return refusal(403, "AuthorizationFailure") if is_block and next(blocks) == 3 else None

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


def test_an_answer_that_was_lost_does_not_lose_the_upload(driver: AzureDriver, medium: AzureMedium) -> None:
    lost = 0

    def lose_one(method: str, target: str, passed: Callable[[], Answer]) -> Answer | None:
        nonlocal lost
        if method == "PUT" and "comp=blocklist" in target and not lost:
            lost += passed().status == 201
            return refusal(500, "OperationTimedOut")
        return None

    driver.create_upload(UPLOAD)
    with medium.server.proxy.intercepting(lose_one), driver.open_upload(UPLOAD) as writer:
        writer.write(b"arrived")
    assert lost == 1
    with driver.open_upload(UPLOAD) as again:
        assert again.checkpoint == writer.checkpoint
        again.commit(BLOB)
    assert medium.content(BLOB) == b"arrived"


def test_an_upload_of_the_go_registry_is_begun_again(driver: AzureDriver, medium: AzureMedium) -> None:
    theirs = medium.client.get_blob_client(medium.root + UPLOAD)
    theirs.create_append_blob()
    theirs.append_block(b"theirs")

    with pytest.raises(PathNotFoundError):
        driver.open_upload(UPLOAD)
    driver.delete(UPLOAD)


def test_a_blob_of_the_go_registry_is_read_and_replaced(driver: AzureDriver, medium: AzureMedium) -> None:
    steps = []

    def refuse_as_the_service_does(method: str, target: str, passed: Callable[[], Answer]) -> Answer | None:
        del passed
        if not target.endswith(BLOB) or method not in {"PUT", "DELETE"}:
            return None
        steps.append(method)
        return refusal(409, "InvalidBlobType") if "DELETE" not in steps else None

    theirs = medium.client.get_blob_client(medium.root + BLOB)
    theirs.create_append_blob()
    theirs.append_block(b"theirs")
    assert b"".join(driver.read(BLOB)) == b"theirs"

    with medium.server.proxy.intercepting(refuse_as_the_service_does):
        driver.put(BLOB, b"ours")
    assert steps == ["PUT", "DELETE", "PUT"]
    assert medium.content(BLOB) == b"ours"

    steps.clear()
    with medium.server.proxy.intercepting(refuse_as_the_service_does):
        upload(driver, b"ours, uploaded")
    assert steps == ["PUT", "DELETE", "PUT"]
    assert medium.content(BLOB) == b"ours, uploaded"


# Copies that take their time, which Azurite's never do


class SlowCopy:
    """Says "pending" of a copy, as the service does of large ones, until it has been asked `polls` times."""

    def __init__(self, polls: int, end: str = "success") -> None:
        self.polls = polls
        self.end = end
        self.aborted = False
        self.looked: Callable[[], None] = lambda: None

    def __call__(self, method: str, target: str, passed: Callable[[], Answer]) -> Answer | None:
        if not target.partition("?")[0].endswith(BLOB) or method not in {"PUT", "HEAD", "GET"}:
            return None
        answer = passed()
        status = "pending" if self.polls > 0 else self.end
        self.polls -= method == "HEAD"
        answer.headers = [(name, value) for name, value in answer.headers if name.lower() != "x-ms-copy-status"]
        answer.headers.append(("x-ms-copy-status", status))
        return answer


def test_a_copy_is_waited_for(driver: AzureDriver, medium: AzureMedium) -> None:
    copy = SlowCopy(polls=3)
    with medium.server.proxy.intercepting(copy):
        upload(driver, b"slow")

        assert driver.stat(BLOB).size == 4
    assert copy.polls <= 0
    assert medium.content(BLOB) == b"slow"
    assert medium.everything() == {BLOB}


def test_a_blob_that_is_still_being_copied_is_not_there(driver: AzureDriver, medium: AzureMedium) -> None:
    driver.put(BLOB, b"")
    with medium.server.proxy.intercepting(SlowCopy(polls=9)):
        for call in (lambda: driver.stat(BLOB), lambda: driver.get(BLOB, limit=9), lambda: driver.read(BLOB)):
            with pytest.raises(PathNotFoundError, match="pending"):
                call()


def test_a_copy_that_failed_publishes_nothing_and_keeps_the_upload(driver: AzureDriver, medium: AzureMedium) -> None:
    driver.create_upload(UPLOAD)
    with medium.server.proxy.intercepting(SlowCopy(polls=1, end="failed")), driver.open_upload(UPLOAD) as writer:
        writer.write(b"kept")
        with pytest.raises(DriverError, match="failed"):
            writer.commit(BLOB)
        with pytest.raises(PathNotFoundError):
            driver.stat(BLOB)

    with driver.open_upload(UPLOAD) as writer:
        writer.commit(BLOB)
    assert medium.content(BLOB) == b"kept"


# Listing, and bad moments


@pytest.mark.parametrize("refused", [True, False], ids=["refused", "ignored"])
def test_an_account_that_lists_from_the_beginning_alone_is_asked_once(
    driver: AzureDriver,
    medium: AzureMedium,
    refused: bool,
) -> None:
    starts = []

    def answer(method: str, target: str, passed: Callable[[], Answer]) -> Answer | None:
        del method, passed
        starts.append("startFrom=" in target)
        return refusal(400, "InvalidQueryParameterValue") if starts[-1] and refused else None

    names = sorted(["v1", *(f"v1.{number:03}-rc" for number in range(20))])
    for name in names:
        driver.put(f"{ROOT}/tags/{name}/current/link", b"x")

    with medium.server.proxy.intercepting(answer):
        for after in (names[5], names[7]):
            assert driver.list(f"{ROOT}/tags", after=after, limit=3) == [n for n in names if n > after][:3]

    assert starts == [True, False, False]


def test_throttling_asks_for_patience(medium: AzureMedium) -> None:
    driver = medium.driver(max_retries=0)

    def throttle(method: str, target: str, passed: Callable[[], Answer]) -> Answer:
        del method, target, passed
        return refusal(503, "ServerBusy")

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
            with pytest.raises(UnavailableError, match=r"^azure: [^\n]*ServerBusy[^\n]*$"):
                call()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"container": "nowhere"}, r"^azure: list the container nowhere: [^\n]*ContainerNotFound[^\n]*$"),
        ({"accountkey": "AAAA"}, r"^azure: list the container images: [^\n]*Auth[^\n]*credentials$"),
        ({"serviceurl": f"http://127.0.0.1:1/{ACCOUNT}", "max_retries": 0}, r"^azure: [^\n]*refused[^\n]*$"),
    ],
)
def test_a_wrong_configuration_is_said_in_one_line(medium: AzureMedium, change: dict[str, Any], message: str) -> None:
    with pytest.raises(DriverError, match=message):
        AzureDriver.from_parameters(medium.server.parameters(**change)).check()


# Signed URLs


def test_a_signed_url_gives_the_blob_for_twenty_minutes(driver: AzureDriver) -> None:
    driver.put(BLOB, b"content")

    url = driver.redirect_url(BLOB, method="GET")

    assert url
    assert "sp=r&" in url
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"content"


def test_a_redirect_leads_to_the_endpoint_that_clients_reach_and_all_else_does_not(medium: AzureMedium) -> None:
    public = medium.server.proxy
    inside = f"http://{public.upstream}/{ACCOUNT}"
    driver = medium.driver(serviceurl=inside, redirectendpoint=f"http://localhost:{public.server_port}/")
    public.traffic.reset()
    upload(driver, b"content")

    url = driver.redirect_url(BLOB, method="GET") or ""

    assert not public.traffic.calls
    assert url.startswith(f"http://localhost:{public.server_port}/{ACCOUNT}/")
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"content"
    assert public.traffic.calls == {"GET": 1}


def test_a_sas_token_works_and_is_not_handed_on(driver: AzureDriver, medium: AzureMedium) -> None:
    token = medium.sas_token()
    others = medium.driver(accountkey="", credentials={"type": "sas", "sastoken": f"?{token}"})

    upload(others, b"by token")

    assert driver.get(BLOB, limit=9) == b"by token"
    assert others.redirect_url(BLOB, method="GET") is None


# What an SDK would do silently


def is_download(method: str, target: str) -> bool:
    return method == "GET" and target.partition("?")[0].endswith(BLOB)


def test_a_download_that_breaks_off_goes_on_where_it_was(driver: AzureDriver, medium: AzureMedium) -> None:
    content = noise(3 * PIECE_SIZE)
    driver.put(BLOB, content)
    statuses = []

    def cut(method: str, target: str, passed: Callable[[], Answer]) -> Answer | None:
        if not is_download(method, target):
            return None
        answer = passed()
        statuses.append(answer.status)
        answer.cut = PIECE_SIZE if len(statuses) < 3 else None
        return answer

    with medium.server.proxy.intercepting(cut):
        assert b"".join(driver.read(BLOB)) == content
        assert statuses == [200, 206, 206]
        statuses.clear()
        assert b"".join(driver.read(BLOB, 7, 2 * PIECE_SIZE)) == content[7 : 2 * PIECE_SIZE]
        assert statuses == [206, 206]


def test_a_download_that_gives_nothing_more_ends(driver: AzureDriver, medium: AzureMedium) -> None:
    driver.put(BLOB, noise(3 * PIECE_SIZE))
    asked = []

    def cut(method: str, target: str, passed: Callable[[], Answer]) -> Answer | None:
        if not is_download(method, target):
            return None
        asked.append(target)
        answer = passed()
        answer.cut = PIECE_SIZE if len(asked) == 1 else 0
        return answer

    with medium.server.proxy.intercepting(cut), pytest.raises(UnavailableError, match="the answer ended early"):
        list(driver.read(BLOB))
    assert len(asked) < 9


def test_a_download_does_not_go_on_with_another_blob(driver: AzureDriver, medium: AzureMedium) -> None:
    driver.put(BLOB, noise(3 * PIECE_SIZE))
    asked = []

    def cut_and_replace(method: str, target: str, passed: Callable[[], Answer]) -> Answer | None:
        if not is_download(method, target):
            return None
        asked.append(target)
        answer = passed()
        if len(asked) == 1:
            answer.cut = PIECE_SIZE
            medium.client.upload_blob(medium.root + BLOB, noise(3 * PIECE_SIZE), overwrite=True)
        return answer

    with medium.server.proxy.intercepting(cut_and_replace), pytest.raises(ConflictError, match="ConditionNotMet"):
        list(driver.read(BLOB))


def test_a_part_is_not_taken_from_an_answer_with_all_of_it(driver: AzureDriver, medium: AzureMedium) -> None:
    driver.put(BLOB, b"0123456789")

    def give_all(method: str, target: str, passed: Callable[[], Answer]) -> Answer | None:
        answer = passed() if is_download(method, target) else None
        if answer:
            answer.status = 200
        return answer

    with medium.server.proxy.intercepting(give_all), pytest.raises(UnavailableError, match="200 is answered, not 206"):
        driver.read(BLOB, 5)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(driver: AzureDriver, medium: AzureMedium, status: int) -> None:
    refused: set[tuple[str, str]] = set()

    def refuse_once(method: str, target: str, passed: Callable[[], Answer]) -> Answer | None:
        del passed
        if (method, target) in refused:
            return None
        refused.add((method, target))
        return refusal(status, "ServerBusy")

    with medium.server.proxy.intercepting(refuse_once):
        driver.put(BLOB, b"content")
        assert driver.get(BLOB, limit=9) == b"content"
        assert driver.list(ROOT, limit=9)
    assert {method for method, _ in refused} == {"PUT", "GET"}


@pytest.mark.parametrize(("hours", "message"), [(-1, "60 minutes ahead"), (1, "60 minutes behind")])
def test_a_clock_that_is_wrong_is_told(driver: AzureDriver, medium: AzureMedium, hours: int, message: str) -> None:
    def refuse(method: str, target: str, passed: Callable[[], Answer]) -> Answer:
        del method, target, passed
        answer = refusal(403, "AuthenticationFailed")
        answer.headers.append(("Date", format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)))
        return answer

    with (
        medium.server.proxy.intercepting(refuse),
        pytest.raises(NotPermittedError, match=rf"AuthenticationFailed\); the clock of this machine is {message}"),
    ):
        driver.get(BLOB, limit=9)


def test_a_lease_is_not_taken_for_a_change(driver: AzureDriver, medium: AzureMedium) -> None:
    driver.put(BLOB, b"leased")
    medium.client.get_blob_client(medium.root + BLOB).acquire_lease()

    with pytest.raises(DriverError, match="LeaseIdMissing") as raised:
        driver.replace(BLOB, b"new", expected=b"leased")
    assert not isinstance(raised.value, ChangedError | ConflictError)


ODD_NAMES = [
    "a b",
    "a+b",
    "a%41b",
    "a%2Fb",
    "a?b",
    "a#b",
    "a&b=c",
    "\u00fc",
    "\u65e5\u672c",
    "<a>&amp;",
    "~a",
    "a;b,c",
    "a'b\"",
]


def test_blobs_of_odd_names_that_others_have_made_are_passed_over_and_deleted(
    driver: AzureDriver, medium: AzureMedium
) -> None:
    for name in ODD_NAMES:
        medium.client.upload_blob(f"{medium.root}{ROOT}/{name}", b"odd")
    driver.put(BLOB, b"ours")

    assert BLOB in {found.path for found in driver.walk(ROOT)}
    for name in ODD_NAMES:
        assert driver._container.get(f"{medium.root}{ROOT}/{name}", limit=9) == b"odd"
    driver.delete(ROOT)

    assert medium.everything() == set()


def test_a_tree_of_more_pages_than_one_is_walked_and_deleted(
    driver: AzureDriver, medium: AzureMedium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(azure_container, "PAGE_SIZE", 3)  # of a number that takes a minute to reach
    for number in range(10):
        driver.put(f"{ROOT}/tags/{number}", b"x")

    assert len(list(driver.walk(ROOT))) == 10
    driver.delete(ROOT)
    assert medium.everything() == set()


def test_a_token_in_a_url_is_in_no_error(medium: AzureMedium) -> None:
    token = medium.sas_token()
    driver = medium.driver(accountkey="", credentials={"type": "sas", "sastoken": token}, max_retries=0)
    secret = token.partition("sig=")[2][:16]

    def refuse(method: str, target: str, passed: Callable[[], Answer]) -> Answer:
        del method, passed
        assert secret in target
        return Answer(200, [], b"what is this")

    with medium.server.proxy.intercepting(refuse):
        for call in (
            lambda: driver.get(BLOB, limit=9),
            lambda: driver.put(BLOB, b""),
            lambda: driver.list(ROOT, limit=1),
        ):
            with pytest.raises(UnavailableError) as raised:
                call()
            assert secret not in str(raised.value)
    gone = medium.driver(
        serviceurl=f"http://127.0.0.1:1/{ACCOUNT}",
        accountkey="",
        credentials={"type": "sas", "sastoken": token},
        max_retries=0,
    )
    with pytest.raises(UnavailableError) as raised:
        gone.get(BLOB, limit=9)
    assert secret not in str(raised.value)


_LOADING = """
import json, sys
from drivers.azure.driver import AzureDriver
driver = AzureDriver.from_parameters(json.loads(sys.argv[1]))
driver.put("/dir/small", b"small")
assert b"".join(driver.read("/dir/small")) == b"small"
driver.list("/dir", limit=9)
assert driver.redirect_url("/dir/small", method="GET")
driver.create_upload("/upload")
assert "azure.storage.blob" not in sys.modules
with driver.open_upload("/upload") as writer:
    writer.write(b"blob")
    writer.commit("/blob")
assert driver.get("/blob", limit=9) == b"blob"
assert "azure.storage.blob" in sys.modules
"""


def test_the_sdk_is_loaded_when_an_upload_is_published_and_not_before(medium: AzureMedium) -> None:
    parameters = json.dumps(medium.server.parameters(medium.root))
    subprocess.run([sys.executable, "-c", _LOADING, parameters], check=True, timeout=60)
