"""Calls of a store against real sockets that answer well, badly or not at all."""

from __future__ import annotations

import threading
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import TYPE_CHECKING

import pytest

from drivers.calls.caller import Caller
from drivers.calls.request import RefusedError, Request
from drivers.calls.waits import Limits, pause_seconds
from registry.foundation.circuit import Circuit, CircuitOpenError
from registry.foundation.errors import ParameterError
from registry.foundation.http_client import HttpClient, HttpError
from registry.foundation.parameters import Parameters
from tests.foundation.http_client.servers import answering, hang, listening, read_head

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from registry.foundation.http_client import Reply

GET = Request("GET", "/bucket/key")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def refusal(status: int, headers: str = "") -> bytes:
    return f"HTTP/1.1 {status} whatever\r\n{headers}Content-Length: 5\r\n\r\nerror".encode()


class Signer:
    """Counts what it signs; it has other credentials `renewals` times."""

    def __init__(self, renewals: int = 0) -> None:
        self.signed_calls = 0
        self.seen: list[int] = []
        self._renewals = renewals

    def signed(self, request: Request) -> Sequence[tuple[str, str]]:
        self.signed_calls += 1
        return (*request.headers, ("Authorization", f"attempt {self.signed_calls}"))

    def refused(self, answer: Reply) -> bool:
        self.seen.append(answer.status)
        self._renewals -= 1
        return self._renewals >= 0


@contextmanager
def caller(
    endpoint: str, signer: Signer | None = None, circuit: Circuit | None = None, **limits: float
) -> Iterator[Caller]:
    with closing(HttpClient(connections=2, follow=0)) as client:
        yield Caller(endpoint.rstrip("/"), signer or Signer(), Limits(**limits), client, circuit)  # type: ignore[arg-type]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let calls be tried again at once; gives the pauses that there would have been."""
    made: list[float] = []
    me, sleep = threading.get_ident(), time.sleep
    monkeypatch.setattr(time, "sleep", lambda s: made.append(s) if threading.get_ident() == me else sleep(s))
    return made


@contextmanager
def store(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Answer each request with the next of `answers`, the last one again and again; b"" ends the connection.

    Gives the address and the heads of the requests. Connections are kept.
    """
    heads: list[bytes] = []
    lock = threading.Lock()

    def behave(connection: socket.socket, _: threading.Event) -> None:
        while head := read_head(connection):
            with lock:
                answer = answers[min(len(heads), len(answers) - 1)]
                heads.append(head)
            connection.sendall(answer)
            if b"\r\n\r\n" not in answer:
                return

    with listening(behave) as endpoint:
        yield endpoint, heads


@pytest.mark.parametrize(
    "bad",
    [b"", b"\0not HTTP\r\n\r\n", b"HTTP/1.1 20", *map(refusal, (408, 429, 500, 502, 503, 504))],
    ids=lambda answer: answer[:12].decode(errors="replace"),
)
def test_what_passes_is_tried_again_signed_anew(bad: bytes, pauses: list[float]) -> None:
    # A connection that ends without an answer is not kept: each answer is the first on its connection.
    with store(bad, bad, OK) as (endpoint, heads), caller(endpoint) as calling:
        assert calling.call(GET, most_bytes=10).content == b"ok"

    assert [head.count(b"attempt") for head in heads] == [1, 1, 1]
    assert b"attempt 3" in heads[-1]
    assert len(pauses) == 2


def test_what_the_store_says_passes_in_its_content_is_tried_again_whatever_the_status(pauses: list[float]) -> None:
    signer = Signer()
    with (
        store(refusal(400), refusal(409), OK) as (endpoint, heads),
        closing(HttpClient(connections=2, follow=0)) as client,
    ):
        calling = Caller(
            endpoint.rstrip("/"), signer, Limits(), client, is_busy=lambda answer: answer.content == b"error"
        )
        assert calling.call(GET, most_bytes=10).content == b"ok"

    assert len(heads) == 3
    assert len(pauses) == 2
    assert signer.seen == []


def test_attempts_are_bounded_and_the_last_refusal_is_told(pauses: list[float]) -> None:
    with store(refusal(503)) as (endpoint, heads), caller(endpoint) as calling, pytest.raises(RefusedError) as raised:
        calling.call(GET, most_bytes=10)

    assert (raised.value.answer.status, raised.value.answer.content) == (503, b"error")
    assert len(heads) == 5
    assert len(pauses) == 4


@pytest.mark.parametrize("status", [301, 304, 400, 401, 403, 404, 409, 412, 416, 501])
def test_a_status_that_does_not_pass_is_told_at_once(status: int, pauses: list[float]) -> None:
    answer = refusal(status) if status != 304 else b"HTTP/1.1 304 Not Modified\r\n\r\n"
    with store(answer) as (endpoint, heads), caller(endpoint) as calling, pytest.raises(RefusedError) as raised:
        calling.call(GET, most_bytes=10)

    assert raised.value.answer.status == status
    assert len(heads) == 1
    assert pauses == []


def test_a_refusal_is_tried_again_at_once_while_the_signer_has_other_credentials(pauses: list[float]) -> None:
    signer = Signer(renewals=1)
    with store(refusal(401), OK) as (endpoint, heads), caller(endpoint, signer) as calling:
        assert calling.call(GET, most_bytes=10).status == 200

    assert signer.seen == [401]
    assert len(heads) == 2
    assert pauses == [0.0]


def test_a_signer_that_always_has_others_does_not_go_on_for_ever(pauses: list[float]) -> None:
    with (
        store(refusal(403)) as (endpoint, heads),
        caller(endpoint, Signer(renewals=10**6)) as calling,
        pytest.raises(RefusedError),
    ):
        calling.call(GET, most_bytes=10)

    assert len(heads) == 5
    assert len(pauses) == 4


def test_pauses_are_random_up_to_a_limit_that_doubles() -> None:
    for attempt, most in ((1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0)):
        chosen = [pause_seconds(attempt) for _ in range(200)]
        assert all(0 <= each <= most for each in chosen)
        assert max(chosen) > most / 2 > min(chosen)


@pytest.mark.parametrize("in_words", [False, True], ids=["seconds", "a date"])
def test_a_store_that_says_when_is_asked_no_earlier(in_words: bool, pauses: list[float]) -> None:
    now = datetime.now(UTC)
    when = format_datetime(now + timedelta(seconds=7), usegmt=True) if in_words else "7"
    busy = refusal(503, f"Retry-After: {when}\r\nDate: {format_datetime(now, usegmt=True)}\r\n")
    with store(busy, OK) as (endpoint, _), caller(endpoint) as calling:
        calling.call(GET, most_bytes=10)

    assert pauses == [7.0]


@pytest.mark.parametrize("when", ["soon", "-1", "Thu, 32 Nov 2026 10:00:00 GMT", "\u00b2"])
def test_a_malformed_retry_after_is_passed_over(when: str, pauses: list[float]) -> None:
    with store(refusal(503, f"Retry-After: {when}\r\n"), OK) as (endpoint, _), caller(endpoint) as calling:
        calling.call(GET, most_bytes=10)

    assert 0 <= pauses[0] <= 0.5


def test_a_store_that_asks_for_longer_than_the_deadline_is_not_waited_for(pauses: list[float]) -> None:
    with (
        store(refusal(503, "Retry-After: 60\r\n")) as (endpoint, heads),
        caller(endpoint) as calling,
        pytest.raises(RefusedError),
    ):
        calling.call(GET, most_bytes=10)

    assert len(heads) == 1
    assert pauses == []


TRICKLE = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n" + b"x" * 90, pause_seconds=0.2)


@pytest.mark.parametrize("behave", [hang, TRICKLE], ids=["nothing", "a trickle"])
def test_all_attempts_together_end_by_the_deadline(
    behave: Callable[[socket.socket, threading.Event], None],
) -> None:
    begun = time.monotonic()
    with listening(behave) as endpoint, caller(endpoint, seconds=1.0) as calling:
        for ask in (calling.stream, partial(calling.call, most_bytes=1000)):
            with pytest.raises(HttpError, match=r"^timed out after 0\.") as raised:
                ask(GET)
            assert raised.value.silent

    assert time.monotonic() - begun < 15  # to get all of the trickle would take 25 seconds, each time


def test_a_connection_that_was_dropped_silently_does_not_cost_the_whole_call() -> None:
    first = threading.Event()

    def behave(connection: socket.socket, ended: threading.Event) -> None:
        if not first.is_set():
            first.set()
            ended.wait()
            return
        read_head(connection)
        connection.sendall(OK)

    with listening(behave) as endpoint, caller(endpoint, seconds=3.0) as calling:
        assert calling.call(GET, most_bytes=10).content == b"ok"


def test_a_kept_connection_that_the_store_has_closed_costs_no_attempt(pauses: list[float]) -> None:
    signer = Signer()
    # The answers keep the connection, which the store closes then.
    with listening(answering(OK)) as endpoint, caller(endpoint, signer) as calling:
        for _ in range(3):
            assert calling.call(GET, most_bytes=10).content == b"ok"

    assert signer.signed_calls == 3
    assert pauses == []


def test_an_answer_is_given_with_its_headers_and_as_much_content_as_asked_for() -> None:
    answer = b'HTTP/1.1 206 Partial Content\r\nETag: "1"\r\nContent-Length: 70000\r\n\r\n' + b"x" * 70_000
    with store(answer) as (endpoint, heads), caller(endpoint) as calling:
        reply = calling.call(
            Request("GET", "/b/k%20k", "list-type=2&prefix=a%2Fb", (("Range", "bytes=0-5"),)), most_bytes=66_000
        )

    assert (reply.status, reply.headers["etag"], len(reply.content), reply.truncated) == (206, '"1"', 66_000, True)
    assert heads[0].startswith(b"GET /b/k%20k?list-type=2&prefix=a%2Fb HTTP/1.1\r\n")
    assert b"\r\nRange: bytes=0-5\r\n" in heads[0]


def test_a_refusal_has_its_content_however_little_is_asked_for() -> None:
    with store(refusal(404)) as (endpoint, _), caller(endpoint) as calling, pytest.raises(RefusedError) as raised:
        calling.call(GET, most_bytes=1)

    assert raised.value.answer.content == b"error"


def test_a_stream_that_is_refused_gives_the_refusal_with_its_content(pauses: list[float]) -> None:
    with (
        store(refusal(503), refusal(404)) as (endpoint, _),
        caller(endpoint) as calling,
        pytest.raises(RefusedError) as raised,
    ):
        calling.stream(GET)

    assert (raised.value.answer.status, raised.value.answer.content) == (404, b"error")
    assert len(pauses) == 1


def test_a_stream_whose_content_breaks_off_is_an_error_and_not_its_end() -> None:
    answer = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    with listening(answer) as endpoint, caller(endpoint) as calling, calling.stream(GET) as stream:
        pieces = stream.pieces()
        assert next(pieces) == b"half"
        with pytest.raises(HttpError, match="ended early"):
            next(pieces)


@pytest.mark.parametrize("value", ["0s", "soon", "10"])
def test_a_deadline_that_is_not_a_duration_is_refused(value: str) -> None:
    with pytest.raises(ParameterError, match="calltimeout"):
        Limits.parse(Parameters({"calltimeout": value}))


def test_a_deadline_is_thirty_seconds_unless_it_is_said() -> None:
    assert Limits.parse(Parameters({})).seconds == 30
    assert Limits.parse(Parameters({"calltimeout": "5s"})).seconds == 5


@pytest.mark.usefixtures("pauses")
def test_a_store_that_does_not_answer_is_not_asked_any_more() -> None:
    told: list[bool] = []
    circuit = Circuit()
    circuit.watch(told.append)
    with store(b"") as (endpoint, heads), caller(endpoint, circuit=circuit) as calling:
        asked = []
        for ask in (
            calling.stream,
            partial(calling.call, most_bytes=10),
            calling.stream,
            calling.stream,
            calling.stream,
        ):
            with pytest.raises(HttpError):
                ask(GET)
            asked.append(len(heads))
        with pytest.raises(CircuitOpenError) as raised:
            calling.call(GET, most_bytes=10)

    assert raised.value.retry_seconds == 10
    assert told == [True]
    assert len(heads) == asked[-1]
    assert asked[0] > 1  # that one call fails a few times is not enough


def test_a_body_that_takes_its_time_counts_as_well_where_it_is_not_answered(pauses: list[float]) -> None:
    long = Request("PUT", "/bucket/key", body=b"x" * 100_000)
    with store(b"", b"", b"", b"", b"", OK) as (endpoint, _), caller(endpoint) as calling:
        with pytest.raises(HttpError):
            calling.call(long, most_bytes=10)
        assert calling.call(long, most_bytes=10).content == b"ok"
    with caller("http://127.0.0.1:1") as calling:
        for _ in range(5):
            with pytest.raises(HttpError):
                calling.call(long, most_bytes=10)
        for request in (long, GET):
            with pytest.raises(CircuitOpenError):
                calling.call(request, most_bytes=10)
    assert pauses


def test_a_line_that_is_too_slow_for_a_body_says_nothing_of_the_store() -> None:
    def behave(connection: socket.socket, ended: threading.Event) -> None:
        if read_head(connection).startswith(b"PUT"):
            while not ended.wait(0.02):
                connection.recv(4096)
        connection.sendall(OK)

    circuit = Circuit()
    long = Request("PUT", "/bucket/key", body=bytes(32 * 1024 * 1024))  # more than fits in the buffers of the kernel
    with listening(behave) as endpoint:
        with caller(endpoint, circuit=circuit, seconds=0.5) as hurried:
            for _ in range(6):
                with pytest.raises(HttpError, match="while the request was being sent") as raised:
                    hurried.call(long, most_bytes=10)
                assert raised.value.unsent
        with caller(endpoint, circuit=circuit) as calling:
            assert calling.call(GET, most_bytes=10).content == b"ok"


def test_the_head_of_a_stream_is_no_sign_that_a_store_answers_whose_contents_do_not_come() -> None:
    def stall(connection: socket.socket, ended: threading.Event) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        ended.wait()

    with listening(stall) as endpoint, caller(endpoint, seconds=0.3) as calling:
        for _ in range(5):
            with calling.stream(GET), pytest.raises(HttpError):
                calling.call(GET, most_bytes=10)
        for ask in (calling.stream, partial(calling.call, most_bytes=10)):
            with pytest.raises(CircuitOpenError):
                ask(GET)


@pytest.mark.parametrize("status", [404, 403, 500, 503])
@pytest.mark.usefixtures("pauses")
def test_a_store_that_answers_is_asked_whatever_it_says(status: int) -> None:
    with store(refusal(status)) as (endpoint, _), caller(endpoint) as calling:
        for _ in range(20):
            with pytest.raises(RefusedError):
                calling.call(GET, most_bytes=10)


def test_a_signer_without_credentials_says_nothing_of_the_store() -> None:
    class Unsigned(Signer):
        def signed(self, request: Request) -> Sequence[tuple[str, str]]:
            raise LookupError(request.path)

    with caller("http://127.0.0.1:1", Unsigned()) as calling:
        for _ in range(20):
            with pytest.raises(LookupError):
                calling.call(GET, most_bytes=10)
