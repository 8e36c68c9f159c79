from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import yaml

from drivers.filesystem.driver import FilesystemDriver
from registry.journal.cursors import Cursor
from registry.notifications.dead import DeadLetter
from registry.notifications.events import events_of
from tests.commands.stores import run
from tests.notifications.journals import Journal, deletion, push
from tests.notifications.receiver import Answering, Receiver, receiving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registry.journal.entry import Entry

HOUR_NS = 3600 * 10**9
QUICK = {"timeout": "5s", "threshold": 2, "backoff": "10ms", "maxbackoff": "10ms"}
SECRET = "hunter2"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """The journal of a storage in tmp_path/root."""
    (tmp_path / "root").mkdir()
    return Journal(FilesystemDriver(str(tmp_path / "root")))


def configure(tmp_path: Path, *endpoints: dict[str, object], **others: object) -> str:
    """Write a configuration with `endpoints`, which by default are called ci, and return its path."""
    path = tmp_path / "config.yml"
    storage = {"filesystem": {"rootdirectory": str(tmp_path / "root")}, **others}
    section = {"endpoints": [{"name": "ci", **QUICK, **each} for each in endpoints]}
    path.write_text(yaml.safe_dump({"version": 0.1, "storage": storage, "notifications": section}))
    return str(path)


def notifications(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("notifications", *arguments, "--config", str(tmp_path / "config.yml"))


def bury(journal: Journal, *entries: Entry, endpoint: str = "ci", hours: int = 0) -> list[str]:
    """Keep the events of `entries`, which are so many `hours` old, as dead letters, and return their ids."""
    ids = []
    for number, entry in enumerate(entries):
        for event in events_of(entry, time.time_ns() - hours * HOUR_NS + number):
            journal.letters.add(DeadLetter(endpoint, event, "it answers 410 Gone", "410 Gone", 3, time.time_ns()))
            ids.append(event.id)
    return ids


# list


def test_endpoints_are_listed_with_what_waits_and_without_secrets(
    tmp_path: Path, journal: Journal, receiver: Receiver
) -> None:
    journal.add(push("v1"), push("v2"), push("v3", consumers=["other"]))
    bury(journal, push("old"))
    configure(
        tmp_path,
        {
            "url": f"http://u:{SECRET}@127.0.0.1:{receiver.port}/{SECRET}/hook?key={SECRET}",
            "headers": {"X-Token": [SECRET]},
        },
        {"name": "off", "url": "", "disabled": True, "repositories": ["**a"]},
    )
    done = notifications(tmp_path, "list")
    assert (done.returncode, done.stderr) == (0, "")
    heading, ci, note, off, disabled = done.stdout.splitlines()
    assert heading.split()[:5] == ["ENDPOINT", "WAITING", "OLDEST", "DEAD", "LAST"]
    assert re.fullmatch(rf"ci +2 +\d+s +1 +- +http://127.0.0.1:{receiver.port}/\.\.\.", ci)
    assert note.strip() == "registry notifications list --dead tells why events were given up"
    assert off.split() == ["off", "0", "-", "0", "-", "-"]
    assert disabled.strip() == "disabled: nothing is sent"
    assert SECRET not in done.stdout


def test_list_as_json_tells_all_that_is_known(tmp_path: Path, journal: Journal, receiver: Receiver) -> None:
    configure(tmp_path, {"url": receiver.url()})
    journal.add(push("v1", tags=["v1", "latest"]), deletion(tags=["a", "b"]))
    state = {
        "last_success": 1773064800.0,
        "last_failure": 1773064860.0,
        "last_error": "it answers 500",
        "failing_since": 0.0,
    }
    journal.cursors.put("ci", Cursor(state=state))
    (row,) = json.loads(notifications(tmp_path, "list", "--json").stdout)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", row.pop("oldest"))
    assert row == {
        "name": "ci",
        "url": receiver.url("/..."),
        "disabled": False,
        "waiting": 2 + 3,
        "dead": 0,
        "lastSuccess": "2026-03-09T14:00:00Z",
        "lastFailure": "2026-03-09T14:01:00Z",
        "lastError": "it answers 500",
        "failingSince": None,
    }


def test_list_says_since_when_an_endpoint_fails_and_why(tmp_path: Path, journal: Journal, receiver: Receiver) -> None:
    configure(tmp_path, {"url": receiver.url()})
    journal.cursors.put("ci", Cursor(state={"last_error": "it says \x1b[2J", "failing_since": 1773064800.0}))
    said = notifications(tmp_path, "list").stdout
    assert said.splitlines()[-1].strip() == r"fails since 2026-03-09T14:00:00Z: it says \x1b[2J"


def test_what_was_delivered_and_what_is_ignored_by_now_does_not_wait(
    tmp_path: Path, journal: Journal, receiver: Receiver
) -> None:
    configure(tmp_path, {"url": receiver.url(), "exclude": ["tmp/**"]})
    entries = [push("v1"), push("v2"), push("v1", "tmp/app"), push("v3")]
    journal.add(*entries)
    journal.cursors.put("ci", Cursor(state={"through": [entries[0].id]}))
    (row,) = json.loads(notifications(tmp_path, "list", "--json").stdout)
    assert row["waiting"] == 2


def test_endpoint_that_has_dead_letters_is_listed_when_it_is_not_configured_any_more(
    tmp_path: Path, journal: Journal, receiver: Receiver
) -> None:
    configure(tmp_path, {"url": receiver.url()})
    bury(journal, push("v1"), endpoint="gone")
    assert re.search(
        r"^gone +0 +- +1 +- +not configured any more$", notifications(tmp_path, "list").stdout, re.MULTILINE
    )


def test_list_without_endpoints_says_so(tmp_path: Path, journal: Journal) -> None:
    assert journal
    configure(tmp_path)
    done = notifications(tmp_path, "list")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "notifications.endpoints has none\n")
    assert notifications(tmp_path, "list", "--json").stdout == "[]\n"


@pytest.mark.parametrize(
    "arguments",
    [("list", "--endpoint", "scaner"), ("list", "--dead", "--endpoint", "scaner"),
     ("purge", "--before", "1h", "--endpoint", "scaner"), ("test", "scaner"),
     ("replay", "--endpoint", "scaner", "--since", "1h"), ("retry", "--all", "--endpoint", "scaner")],
)  # fmt: skip
def test_unknown_endpoint_is_refused_with_those_that_there_are(
    arguments: tuple[str, ...], tmp_path: Path, journal: Journal, receiver: Receiver
) -> None:
    assert journal
    configure(tmp_path, {"url": receiver.url()}, {"name": "scanner", "url": receiver.url()})
    done = notifications(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: no endpoint is called scaner: there are ci, scanner (is scanner meant?)\n"


def test_dead_letters_are_listed_with_their_reasons(tmp_path: Path, journal: Journal, receiver: Receiver) -> None:
    configure(tmp_path, {"url": receiver.url()})
    ids = bury(journal, push("v1"), deletion(tags=["v2"]))
    ids += bury(journal, push("", "base"), endpoint="gone")
    done = notifications(tmp_path, "list", "--dead")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ids
    told = [line.split("  ", 2)[2] for line in lines]
    assert told == [
        "ci: push team/app:v1: it answers 410 Gone (3 attempts)",
        "ci: delete team/app@sha256:0123456789ab: it answers 410 Gone (3 attempts)",
        "ci: delete team/app:v2: it answers 410 Gone (3 attempts)",
        "gone: push base@sha256:0123456789ab: it answers 410 Gone (3 attempts)",
    ]
    rows = json.loads(notifications(tmp_path, "list", "--dead", "--endpoint", "ci", "--json").stdout)
    assert [row["id"] for row in rows] == ids[:3]
    assert {"action": "delete", "tag": "v2", "error": "it answers 410 Gone", "attempts": 3}.items() <= rows[2].items()


# retry and purge


def test_dead_letters_that_are_taken_go_in_their_order(tmp_path: Path, journal: Journal, receiver: Receiver) -> None:
    configure(tmp_path, {"url": receiver.url(), "batch": 2})
    ids = bury(journal, *(push(f"v{number}") for number in range(5)))
    done = notifications(tmp_path, "retry", "--all")
    assert (done.returncode, done.stdout, done.stderr) == (0, "5 events are delivered\n", "")
    assert [event["id"] for event in receiver.taken] == ids
    assert [len(request.events) for request in receiver.requests] == [2, 2, 1]
    assert list(journal.letters.of("ci")) == []


def test_dead_letter_is_sent_again_by_its_id_alone(tmp_path: Path, journal: Journal, receiver: Receiver) -> None:
    configure(tmp_path, {"url": receiver.url()})
    ids = bury(journal, push("v1"), push("v2"))
    done = notifications(tmp_path, "retry", ids[1], "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"delivered": 1, "refused": 0})
    assert receiver.tags == ["v2"]
    assert [letter.id for letter in journal.letters.of("ci")] == ids[:1]


def test_id_of_no_dead_letter_is_said_to_be_none(tmp_path: Path, journal: Journal, receiver: Receiver) -> None:
    configure(tmp_path, {"url": receiver.url()})
    (known,) = bury(journal, push("v1"))
    done = notifications(tmp_path, "retry", known, "nothing")
    assert (done.returncode, done.stdout) == (1, "1 events are delivered\n")
    assert done.stderr == "no dead letter has the ID nothing\n"


@pytest.mark.parametrize("arguments", [("retry",), ("retry", "--all", "x")])
def test_retry_wants_ids_or_all(arguments: tuple[str, ...], tmp_path: Path, journal: Journal) -> None:
    assert journal
    configure(tmp_path)
    done = notifications(tmp_path, *arguments)
    assert done.returncode == 2
    assert "give IDs, or --all" in done.stderr


def test_dead_letter_that_is_refused_again_stays_and_does_not_keep_the_others(
    tmp_path: Path, journal: Journal, receiver: Receiver
) -> None:
    configure(tmp_path, {"url": receiver.url(), "batch": 10})
    ids = bury(journal, push("v1"), push("bad"), push("v3"))
    receiver.answer = lambda request: Answering(422 if b'"bad"' in request.body else 200)
    done = notifications(tmp_path, "retry", "--all")
    assert (done.returncode, done.stdout) == (1, "2 events are delivered, 1 are refused\n")
    assert done.stderr == f"{ids[1]} push team/app:bad: it answers 422 Unprocessable Entity\n"
    assert receiver.tags == ["v1", "v3"]
    assert [letter.id for letter in journal.letters.of("ci")] == [ids[1]]


def test_endpoint_that_takes_nothing_keeps_its_dead_letters_and_no_other_endpoint_from_its(
    tmp_path: Path, journal: Journal, receiver: Receiver
) -> None:
    with receiving() as dead:
        url = dead.url()
    configure(tmp_path, {"url": url}, {"name": "other", "url": receiver.url()})
    ids = bury(journal, push("v1"), push("v2"))
    bury(journal, push("v3"), endpoint="other")
    bury(journal, push("v4"), endpoint="gone")
    done = notifications(tmp_path, "retry", "--all")
    assert (done.returncode, done.stdout) == (1, "1 events are delivered\n")
    assert receiver.tags == ["v3"]
    assert [letter.id for letter in journal.letters.of("ci")] == ids
    said = sorted(done.stderr.splitlines())
    assert re.fullmatch(r"ci: .*refused.*; its dead letters stay", said[0])
    assert said[1] == "no endpoint is called gone: there are ci, other; its dead letters stay"


def test_dead_letters_are_purged_by_the_age_of_their_events(
    tmp_path: Path, journal: Journal, receiver: Receiver
) -> None:
    configure(tmp_path, {"url": receiver.url()})
    bury(journal, push("v1"), push("v2"), hours=50)
    bury(journal, push("v3"), endpoint="gone", hours=50)
    (kept,) = bury(journal, push("v4"), hours=1)
    assert (
        notifications(tmp_path, "purge", "--before", "2d", "--endpoint", "gone").stdout
        == "1 dead letters are deleted\n"
    )
    assert json.loads(notifications(tmp_path, "purge", "--before", "48h", "--json").stdout) == {"deleted": 2}
    assert [letter.id for letter in journal.letters.of("ci")] == [kept]
    future = notifications(tmp_path, "purge", "--before", "2100-01-01")
    assert future.stdout == "1 dead letters are deleted\n"


@pytest.mark.parametrize("arguments", [("retry", "--all"), ("purge", "--before", "0s")])
def test_read_only_registry_keeps_its_dead_letters(
    arguments: tuple[str, ...], tmp_path: Path, journal: Journal, receiver: Receiver
) -> None:
    configure(tmp_path, {"url": receiver.url()}, maintenance={"readonly": {"enabled": True}})
    (kept,) = bury(journal, push("v1"), hours=1)
    done = notifications(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: storage.maintenance.readonly is on: nothing is deleted\n"
    assert [letter.id for letter in journal.letters.of("ci")] == [kept]
    assert receiver.taken == []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            "7",
            "'7' is neither a duration such as 2h nor a time such as 2026-03-09T14:00:00Z; a unit is missing, as in 7h",
        ),
        ("-2h", "'-2h' is negative; it counts back from now"),
        ("9999-12-31T23:00:00-02:00", "is neither a duration such as 2h nor a time such as 2026-03-09T14:00:00Z"),
        ("yesterday", "'yesterday' is neither a duration such as 2h nor a time such as 2026-03-09T14:00:00Z"),
    ],
)
def test_moment_that_is_none_is_refused(value: str, said: str, tmp_path: Path) -> None:
    configure(tmp_path)
    done = notifications(tmp_path, "purge", f"--before={value}")
    assert done.returncode == 2
    assert said in done.stderr


# replay


def test_what_the_journal_has_is_sent_again_in_order_with_the_same_ids_and_what_is_ignored_is_not(
    tmp_path: Path, journal: Journal, receiver: Receiver
) -> None:
    configure(
        tmp_path,
        {"url": receiver.url(), "exclude": ["tmp/**"], "ignore": {"mediatypes": ["application/octet-stream"]}},
    )
    entries = [
        push("v1"),
        push("v2", consumers=["other"]),
        push("v1", "tmp/app"),
        push("", kind="blob", media_type="application/octet-stream"),
        push("", kind="login", action="login"),
        push("v9", details={"outcome": "failed"}),
        deletion(tags=["v1"]),
    ]
    journal.add(*entries)
    done = notifications(tmp_path, "replay", "--endpoint", "ci", "--since", "1h")
    assert (done.returncode, done.stdout, done.stderr) == (0, "4 events are delivered\n", "")
    assert [(event["action"], event["target"].get("tag")) for event in receiver.taken] == [
        ("push", "v1"),
        ("push", "v2"),
        ("delete", None),
        ("delete", "v1"),
    ]
    first = [event["id"] for event in receiver.taken]
    notifications(tmp_path, "replay", "--endpoint", "ci", "--since", "1h")
    assert [event["id"] for event in receiver.taken] == first * 2
    assert journal.cursors.get("ci") is None


def test_replay_is_of_a_time_and_of_some_repositories(tmp_path: Path, journal: Journal, receiver: Receiver) -> None:
    configure(tmp_path, {"url": receiver.url()})
    journal.add(push("v1"), push("v2", "team/web"), push("v3", "base"))
    between = journal.log.append(push("v4").encode())
    journal.add(push("v5"), push("v6", "base"))
    moment = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(between / 1e9))}.{between % 10**9 // 1000:06}Z"
    arguments = ("replay", "--endpoint", "ci", "--since", "1h", "--repository", "team/*", "--repository", "x")
    assert notifications(tmp_path, *arguments, "--until", moment).returncode == 0
    assert receiver.tags == ["v1", "v2"]
    assert notifications(tmp_path, "replay", "--endpoint", "ci", "--since", moment).returncode == 0
    assert receiver.tags == ["v1", "v2", "v4", "v5", "v6"]


def test_replay_of_a_time_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    configure(tmp_path)
    done = notifications(tmp_path, "replay", "--endpoint", "ci", "--since", "1h", "--until", "2h")
    assert done.returncode == 2
    assert re.search(r"--since is \S+, which is not before --until, \S+", done.stderr)


def test_replay_that_is_a_dry_run_sends_nothing_and_tells_what(
    tmp_path: Path, journal: Journal, receiver: Receiver
) -> None:
    configure(tmp_path, {"url": receiver.url()})
    journal.add(push("v1"), deletion(tags=["v1"]))
    arguments = ("replay", "--endpoint", "ci", "--since", "1h", "--dry-run")
    done = notifications(tmp_path, *arguments)
    assert [line.split("  ")[1] for line in done.stdout.splitlines()] == [
        "push team/app:v1",
        "delete team/app@sha256:0123456789ab",
        "delete team/app:v1",
    ]
    assert done.stderr == "3 events would be sent\n"
    rows = json.loads(notifications(tmp_path, *arguments, "--json").stdout)
    assert [(row["action"], row["kind"], row["tag"]) for row in rows] == [
        ("push", "manifest", "v1"),
        ("delete", "manifest", None),
        ("delete", "tag", "v1"),
    ]
    assert receiver.taken == []


def test_replay_stops_where_the_endpoint_fails_and_the_command_that_it_tells_goes_on(
    tmp_path: Path, journal: Journal, receiver: Receiver
) -> None:
    configure(tmp_path, {"url": receiver.url()})
    journal.add(*(push(f"v{number}") for number in range(6)))
    receiver.answer = lambda request: Answering(503 if b'"v3"' in request.body else 200)
    done = notifications(tmp_path, "replay", "--endpoint", "ci", "--since", "1h", "--repository", "team/*")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "Error: ci: it answers 503 Service Unavailable. 3 events are delivered. It goes on with: "
    )
    assert receiver.tags == ["v0", "v1", "v2"]
    receiver.answer = lambda _: Answering()
    again = run(*done.stderr.rpartition(": registry ")[2].replace("'", "").split())
    assert again.returncode == 0
    assert receiver.tags == ["v0", "v1", "v2", "v2", "v3", "v4", "v5"]


def test_replay_goes_on_after_an_event_that_is_refused_for_good(
    tmp_path: Path, journal: Journal, receiver: Receiver
) -> None:
    configure(tmp_path, {"url": receiver.url()})
    journal.add(push("v1"), push("bad"), push("v3"))
    receiver.answer = lambda request: Answering(400 if b'"bad"' in request.body else 200)
    done = notifications(tmp_path, "replay", "--endpoint", "ci", "--since", "1h")
    assert (done.returncode, done.stdout) == (1, "2 events are delivered, 1 are refused\n")
    assert done.stderr.endswith(" push team/app:bad: it answers 400 Bad Request\n")
    assert receiver.tags == ["v1", "v3"]


def test_failure_that_passes_is_not_noticed(tmp_path: Path, journal: Journal, receiver: Receiver) -> None:
    configure(tmp_path, {"url": receiver.url()})
    journal.add(push("v1"), push("v2"))
    answers = iter([500, 200, 502, 200])
    receiver.answer = lambda _: Answering(next(answers))
    done = notifications(tmp_path, "replay", "--endpoint", "ci", "--since", "1h")
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 events are delivered\n", "")


def test_ctrl_c_ends_a_replay_on_a_terminal_and_says_how_far_it_is(
    tmp_path: Path, journal: Journal, receiver: Receiver
) -> None:
    config = configure(tmp_path, {"url": receiver.url(), "backoff": "1m", "maxbackoff": "1m"})
    journal.add(*(push(f"v{number}") for number in range(4)))
    receiver.answer = lambda request: Answering(503 if b'"v2"' in request.body else 200)
    controller, terminal = pty.openpty()
    command = ["notifications", "replay", "--endpoint", "ci", "--since", "1h", "--config", config]
    with subprocess.Popen(
        [sys.executable, "-m", "registry", *command], stdout=terminal, stderr=terminal, env={}
    ) as process:
        os.close(terminal)
        said = ""
        while "2 events are delivered: push team/app:v1" not in said:
            said += os.read(controller, 1024).decode()
        process.send_signal(signal.SIGINT)
        try:
            while True:
                said += os.read(controller, 1024).decode()
        except OSError:  # Linux says so when the other side is closed
            os.close(controller)
    assert process.returncode == 130
    told, interrupted = said.rpartition("\r\x1b[K")[2].splitlines()
    assert told.startswith(
        "2 events are delivered. It goes on with: registry notifications replay --endpoint ci --since"
    )
    assert interrupted == "Interrupted."
    assert "Traceback" not in said


# test


def test_endpoint_that_takes_the_event_is_said_to(tmp_path: Path, receiver: Receiver) -> None:
    configure(tmp_path, {"url": receiver.url(), "headers": {"X-Token": [SECRET]}})
    receiver.answer = lambda _: Answering(202, body=b"thank \x1b[2J you,\n" + SECRET.encode())
    done = notifications(tmp_path, "test", "ci")
    assert (done.returncode, done.stderr) == (0, "")
    taken, says = done.stdout.splitlines()
    assert re.fullmatch(r"ci takes events: 202 Accepted, after \d+ ms", taken)
    assert says == r"it says: thank \x1b[2J you, ..."
    (event,) = receiver.taken
    assert event["action"] == "push"
    assert event["target"]["repository"] == "registry-test/notifications"
    assert event["target"]["tag"] == "test"
    assert receiver.requests[0].headers["x-token"] == SECRET


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "look at headers: "),
        (404, "look at the path of url"),
        (415, "does it take events of this format? "),
        (500, "its own log says why"),
    ],
)
def test_endpoint_that_does_not_take_the_event_is_an_error_with_what_to_change(
    status: int, advice: str, tmp_path: Path, receiver: Receiver
) -> None:
    configure(tmp_path, {"url": receiver.url()})
    receiver.answer = lambda _: Answering(status, body=b"x" * 100_000)
    done = notifications(tmp_path, "test", "ci")
    assert done.returncode == 1
    verdict, says, what = done.stdout.splitlines()
    assert verdict.startswith(f"ci does not take events: it answers {status} ")
    assert says == f"it says: {'x' * 400}..."
    assert what.startswith(f"-> {advice}")


def test_an_answer_that_repeats_the_path_shows_no_secret_in_it(tmp_path: Path, receiver: Receiver) -> None:
    configure(tmp_path, {"url": receiver.url("/hooks/T0AB12CD34?c0de12345")})
    receiver.answer = lambda _: Answering(404, body=b"no T0AB12CD34: cannot POST /hooks/T0AB12CD34?c0de12345")
    done = notifications(tmp_path, "test", "ci")
    assert done.stdout.splitlines()[1] == "it says: no ...: cannot POST /hooks/...?..."


def test_endpoint_that_cannot_be_reached_is_an_error_in_a_line_and_in_json(tmp_path: Path) -> None:
    with receiving() as gone:
        url = gone.url()
    configure(tmp_path, {"url": f"{url}?key={SECRET}"})
    done = notifications(tmp_path, "test", "ci")
    assert done.returncode == 1
    verdict, what = done.stdout.splitlines()
    assert "refused" in verdict
    assert what == "-> look at url: is it right, and can this machine reach it?"
    told = json.loads(notifications(tmp_path, "test", "ci", "--json").stdout)
    assert told.pop("seconds") >= 0
    assert "refused" in told.pop("error")
    assert told == {"name": "ci", "delivered": False, "status": None, "said": ""}
    assert SECRET not in done.stdout


def test_endpoint_that_hangs_is_an_error_that_names_the_timeout(tmp_path: Path, receiver: Receiver) -> None:
    configure(tmp_path, {"url": receiver.url(), "timeout": "200ms"})

    def hang(_: object) -> Answering:
        time.sleep(3)
        return Answering()

    receiver.answer = hang
    done = notifications(tmp_path, "test", "ci")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "-> if it is only slow, raise timeout, which is 0.2s"


def test_endpoint_that_is_disabled_is_not_sent_anything(tmp_path: Path, receiver: Receiver) -> None:
    configure(tmp_path, {"url": receiver.url(), "disabled": True})
    done = notifications(tmp_path, "test", "ci")
    assert (done.returncode, receiver.taken) == (1, [])
    assert done.stderr == "Error: ci is disabled: take disabled: true out of its section first\n"


def test_authorities_that_cannot_be_read_are_an_error_in_a_line(tmp_path: Path, receiver: Receiver) -> None:
    configure(tmp_path, {"url": receiver.url(), "cafile": "/nowhere"})
    done = notifications(tmp_path, "test", "ci")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "Error: ci: cafile: /nowhere: No such file or directory"
