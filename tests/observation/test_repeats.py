from __future__ import annotations

import errno
import logging
import os
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError, UnavailableError
from drivers.filesystem.files import Translated
from registry.observation.repeats import MOST_CAUSES, MOST_REPOSITORIES, MOST_TEXTS, PERIOD_SECONDS, Repeats
from tests.faults import no_more_threads
from tests.observation.written import HOOK, Mailbox, parsed, read, set_up
from tests.serving import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.observation.written import Stderr

FULL = OSError(errno.EMFILE, "Too many open files")


def record(
    message: object,
    *args: object,
    level: int = logging.ERROR,
    name: str = "registry.test",
    error: Exception | None = None,
    **facts: object,
) -> logging.LogRecord:
    info = (type(error), error, None) if error else None
    made = logging.LogRecord(name, level, __file__, 1, message, args, info)
    made.__dict__.update(facts)
    return made


def admitted(repeats: Repeats, records: list[logging.LogRecord], now: float = 0.0) -> list[bool]:
    return [repeats.admits(each, now) for each in records]


def told(repeats: Repeats, now: float) -> list[tuple[str, int]]:
    return [(each.getMessage(), each.__dict__["repeated"]) for each in repeats.summaries(now)]


def test_an_error_is_told_once_and_then_counted_once_a_period_for_as_long_as_it_goes_on() -> None:
    repeats = Repeats()
    first = [repeats.admits(record("GET %s: %s", f"/{n}", FULL), 0.0) for n in range(1000)]

    assert first == [True] + [False] * 999
    assert told(repeats, PERIOD_SECONDS - 1) == []
    message = f"999 more in the last 60 s: GET /999: {FULL}"
    assert told(repeats, PERIOD_SECONDS) == [(message, 999)]

    assert admitted(repeats, [record("GET %s: %s", "/a", FULL)], PERIOD_SECONDS + 1) == [False]
    assert [count for _, count in told(repeats, 2 * PERIOD_SECONDS)] == [1]
    assert told(repeats, 3 * PERIOD_SECONDS) == []
    assert repeats.next_end() is None


def test_a_cause_that_has_been_quiet_for_a_period_is_told_at_once_again() -> None:
    repeats = Repeats()
    assert admitted(repeats, [record("broken", error=FULL)]) == [True]
    assert told(repeats, PERIOD_SECONDS) == []
    assert admitted(repeats, [record("broken", error=FULL)], PERIOD_SECONDS) == [True]


@pytest.mark.parametrize(
    "other",
    [
        record("GET %s: %s", "/a", OSError(errno.EIO, "I/O error")),
        record("GET %s: %s", "/a", ValueError("x")),
        record("PUT %s: %s", "/a", FULL),
        record("GET %s: %s", "/a", FULL, level=logging.WARNING),
        record("GET %s: %s", "/a", FULL, name="registry.other"),
        record("GET %s: %s", "/a", error=KeyError("x")),
    ],
)
def test_another_logger_level_message_error_or_number_is_another_cause(other: logging.LogRecord) -> None:
    repeats = Repeats()
    assert admitted(repeats, [record("GET %s: %s", "/a", FULL), other]) == [True, True]


def test_errors_of_a_storage_are_told_apart_by_what_caused_them() -> None:
    def failed(number: int) -> UnavailableError:
        error = UnavailableError("filesystem: read")
        error.__cause__ = OSError(number, os.strerror(number))
        return error

    repeats = Repeats()
    failures = [failed(number) for number in (errno.EIO, errno.ESTALE, errno.EIO)]
    assert admitted(repeats, [record("%s", each) for each in failures]) == [True, True, False]


def failed_storage(call: str, subject: str) -> DriverError:
    try:
        with Translated(call, subject):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    except DriverError as error:
        return error


@pytest.mark.parametrize("root", ["", "/var/lib/registry", "bucket/prefix"])
def test_a_fault_of_another_call_or_part_of_the_storage_is_told_beside_a_flood(root: str) -> None:
    def fault(call: str, path: str) -> logging.LogRecord:
        return record("%s %s: %s", "GET", path, failed_storage(call, f"{root}{path}"))

    repeats = Repeats()
    blobs = "/docker/registry/v2/blobs/sha256"
    link = "/docker/registry/v2/repositories/team/app/_layers/sha256/ab/link"
    flood = [fault("get", f"{blobs}/{n % 256:02x}/{n:064x}/data") for n in range(1000)]
    assert sum(admitted(repeats, flood)) == 1
    others = [fault("get", link), fault("stat", link), fault("get", "/"), fault("stat", f"{blobs}/ab/abc/data")]
    assert admitted(repeats, others) == [True] * len(others)
    assert admitted(repeats, [*others, flood[0]]) == [False] * (len(others) + 1)


def test_a_fault_is_told_for_each_repository_up_to_a_bound() -> None:
    def fault(name: str, part: str) -> logging.LogRecord:
        path = f"/docker/registry/v2/repositories/{name}/{part}"
        return record("%s %s: %s", "GET", path, failed_storage("get", path))

    repeats = Repeats()
    assert admitted(repeats, [fault("a", "_layers/x/link"), fault("b/c", "_layers/x/link")]) == [True, True]
    assert admitted(repeats, [fault("a", "_layers/y/link"), fault("b/c", "_manifests/x/link")]) == [False, False]
    assert sum(admitted(repeats, [fault(f"many/{n}", "_layers/x/link") for n in range(1000)])) == MOST_REPOSITORIES - 2


def test_lines_without_an_error_are_told_once_for_each_text() -> None:
    repeats = Repeats()
    lines = [record("%s is %s", *each, level=logging.INFO) for each in (("a", 1), ("b", 2), ("a", 1))]
    checks = [record("failed", check=each) for each in ("disk", "redis", "disk")]
    assert admitted(repeats, lines) == [True, True, False]
    assert admitted(repeats, checks) == [True, True, False]


def test_a_flood_of_lines_with_different_texts_is_bounded() -> None:
    repeats = Repeats()
    flood = [record("refused a request of %s", n, level=logging.INFO) for n in range(1000)]
    assert sum(admitted(repeats, flood)) == MOST_TEXTS
    assert [count for _, count in told(repeats, PERIOD_SECONDS)] == [1000 - MOST_TEXTS]


def test_a_flood_of_causes_is_bounded_in_lines_and_in_memory() -> None:
    repeats = Repeats()
    tracemalloc.start()
    try:
        admitted_lines = sum(repeats.admits(record(f"{n} " + "x" * 2000, error=FULL), 0.0) for n in range(20_000))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert admitted_lines <= MOST_CAUSES + MOST_TEXTS
    assert held < 4_000_000
    assert sum(count for _, count in told(repeats, PERIOD_SECONDS)) == 20_000 - admitted_lines


def test_what_is_counted_holds_no_objects() -> None:
    class Large:
        living = 0

        def __init__(self) -> None:
            Large.living += 1

        def __del__(self) -> None:
            Large.living -= 1

        def __str__(self) -> str:
            return "large"

    repeats = Repeats()
    for _ in range(10):
        repeats.admits(record("%s: %s", Large(), FULL), 0.0)
    assert Large.living == 0
    assert told(repeats, PERIOD_SECONDS) == [(f"9 more in the last 60 s: large: {FULL}", 9)]


def test_debug_lines_and_those_of_exempt_loggers_are_all_written() -> None:
    repeats = Repeats(exempt=frozenset({"each"}))
    assert admitted(repeats, [record("x", level=logging.DEBUG)] * 3 + [record("x", name="each")] * 3) == [True] * 6


# The log of a process


def fail(logger: logging.Logger, times: int) -> None:
    for _ in range(times):
        try:
            raise FULL
        except OSError:
            logger.exception("a thread failed")


@pytest.mark.parametrize("name", ["registry.test", "gunicorn.error"])
def test_a_traceback_is_written_once_and_what_is_counted_at_the_end(written: Stderr, name: str) -> None:
    set_up("{}")
    fail(logging.getLogger(name), 500)
    logging.getLogger().handlers[0].close()

    first, last = (parsed(line) for line in written.getvalue().splitlines())
    assert "Traceback" in first["error"]
    assert (last["level"], last["repeated"]) == ("error", "499")
    assert last["msg"] == f"499 more in the last 60 s: a thread failed: OSError: {FULL}"
    assert "error" not in last


def test_arguments_that_do_not_fit_the_message_do_not_fail_whoever_logs(written: Stderr) -> None:
    set_up("{}").error("%d", "x")
    assert "Logging error" in written.getvalue()


def test_the_lines_of_requests_are_all_written(written: Stderr) -> None:
    set_up("{}")
    for _ in range(5):
        logging.getLogger("registry.observation.lines").error("response completed with error")
    assert written.getvalue().count("\n") == 5


def test_what_is_counted_is_told_though_no_line_comes(written: Stderr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.observation.repeats.PERIOD_SECONDS", 0.2)  # nobody waits for a minute
    fail(set_up("{}"), 5)

    def told() -> int:
        return sum(int(parsed(line).get("repeated", 0)) for line in written.getvalue().splitlines())

    # On a busy machine the five may not fall into one period.
    wait_until("it is told", lambda: told() + written.getvalue().count("Traceback") == 5)
    assert " more in the last 0 s" in written.getvalue()


def test_what_is_counted_is_told_by_the_next_line_where_no_thread_can_be_started(
    written: Stderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.observation.repeats.PERIOD_SECONDS", 0.2)
    logger = set_up("{}")
    with no_more_threads():
        fail(logger, 5)
        time.sleep(0.3)
        logger.info("on")

    lines = [parsed(line) for line in written.getvalue().splitlines()]
    assert sum(int(line.get("repeated", 1)) for line in lines[:-1]) == 5
    assert lines[-1]["msg"] == "on"


@pytest.mark.usefixtures("written")
def test_a_process_that_is_forked_tells_its_own_only(tmp_path: Path) -> None:
    logger = set_up("{}")
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    with (tmp_path / "log").open("a") as file:
        handler.setStream(file)
        fail(logger, 5)
        pid = os.fork()
        if pid == 0:
            fail(logger, 3)
            handler.close()
            os._exit(0)
        os.waitpid(pid, 0)
        handler.close()

    counts = [parsed(line).get("repeated") for line in (tmp_path / "log").read_text().splitlines()]
    assert counts == [None, None, "2", "4"]


def test_a_hook_mails_a_cause_once_and_the_count_at_the_end(written: Stderr, mailbox: tuple[Mailbox, str]) -> None:
    box, addr = mailbox
    fail(set_up(f"{{hooks: [{HOOK.format(levels='error', addr=addr)}]}}"), 300)
    logging.getLogger().handlers[1].flush()

    subjects = [read(mail)["Subject"].partition(": ")[2] for mail in box.mails]
    assert subjects[0] == "a thread failed"
    assert subjects[1].startswith("299 more in the last 60 s: a thread failed: OSError: ")
    assert len(subjects) == 2
    assert "not sent" not in written.getvalue()


def test_a_mail_for_which_there_is_no_thread_is_said_and_the_next_is_sent(
    written: Stderr, mailbox: tuple[Mailbox, str]
) -> None:
    box, addr = mailbox
    logger = set_up(f"{{hooks: [{HOOK.format(levels='error', addr=addr)}]}}")
    with no_more_threads():
        logger.error("one")
    logger.error("two")
    wait_until("the mail is there", lambda: box.mails)

    assert [read(mail)["Subject"].partition(": ")[2] for mail in box.mails] == ["two"]
    assert "a log line is not mailed: can't start new thread" in written.getvalue()
