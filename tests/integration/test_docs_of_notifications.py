"""What docs/notifications.md says is true: its commands, its receiver and its ways to verify a signature work."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from registry.config.events import Endpoint, Journal
from registry.foundation import durations
from registry.notifications.pulls import MOST
from registry.notifications.sending import PERMANENT
from registry.notifications.signature import key_of, signed
from tests.integration.clients import require_program, run
from tests.integration.content import fill
from tests.integration.pages import Reader, blocks, page_path
from tests.integration.servers import free_port
from tests.integration.waiting import wait_until
from tests.notifications.receiver import receiving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import StartServer

PAGES = ("notifications.md",)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TAMPERED: dict[str, Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]] = {
    "body": lambda headers, body: (headers, body + b" "),
    "id": lambda headers, body: (headers | {"webhook-id": "another"}, body),
    "time": lambda headers, body: (headers | {"webhook-timestamp": str(int(time.time()) - 1)}, body),
    "signature": lambda headers, body: (headers | {"webhook-signature": "v1,AAAA"}, body),
}


def block(language: str, beginning: str = "") -> str:
    (text,) = (each.text for each in blocks("notifications.md") if each.language == language and beginning in each.text)
    return text


def test_notifications_page(start_server: StartServer, tmp_path: Path) -> None:
    with receiving() as receiver:
        settings = {"notifications": {"endpoints": [{"name": "ci", "url": receiver.url()}]}}
        server = start_server(settings=settings)
        fill(server, "team/app:v1")
        config = next(tmp_path.glob("*.yml"))
        reader = Reader(tmp_path, environment={"REGISTRY_CONFIGURATION_PATH": str(config)})
        said = reader.work_through("notifications.md")
    assert said["registry notifications test ci"].startswith("ci takes events: 200 OK, after ")
    assert "ENDPOINT" in said["registry notifications list"]
    assert "push team/app:v1" in said["registry notifications replay --endpoint ci --since 2h --dry-run"]
    assert " events are delivered" in said["registry notifications replay --endpoint ci --since 2h"]
    assert {"v1", "test"} <= set(receiver.tags)


def test_event_of_the_page_is_one_that_is_sent(start_server: StartServer) -> None:
    with receiving() as receiver:
        server = start_server(settings={"notifications": {"endpoints": [{"name": "ci", "url": receiver.url()}]}})
        fill(server, "team/app:v1")
        wait_until("the event", lambda: "v1" in receiver.tags)
    (sent,) = (event for event in receiver.taken if event["target"].get("tag") == "v1")
    (shown,) = json.loads(block("json"))["events"]
    # Without a user, an event names none.
    assert list(shown) == list(sent)
    for name in ("target", "request", "source"):
        assert list(shown[name]) == list(sent[name])


def test_receiver_of_the_page_prints_what_it_is_sent(tmp_path: Path) -> None:
    port = free_port()
    script = tmp_path / "receiver.py"
    script.write_text(block("python", "HTTPServer").replace("8080", str(port)))
    config = tmp_path / "config.yml"
    endpoint = f"{{name: ci, url: 'http://localhost:{port}/'}}"
    config.write_text(f"version: 0.1\nstorage: inmemory\nnotifications: {{endpoints: [{endpoint}]}}\n")
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until("the receiver", lambda: takes_events(config))
        finally:
            process.terminate()
        assert process.stdout is not None
        assert b'"registry-test/notifications"' in process.stdout.read()


def takes_events(config: Path) -> bool:
    command = [sys.executable, "-m", "registry", "notifications", "test", "ci", "--config", str(config)]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


def test_numbers_of_the_page_are_those_of_the_program() -> None:
    text = page_path("notifications.md").read_text()
    endpoint, journal = Endpoint(), Journal()
    assert f"| {', '.join(map(str, sorted(PERMANENT)))} | after `threshold` attempts" in text
    assert f"| the first `threshold` attempts ({endpoint.threshold}) |" in text
    backoff, longest = durations.spell(endpoint.backoff_seconds), durations.spell(endpoint.maxbackoff_seconds)
    assert f"| after `backoff` ({backoff}), twice that, and so on up to `maxbackoff` ({longest})" in text
    assert f"older than `maxage` ({durations.spell(endpoint.maxage_seconds)})" in text
    assert f"keep: {durations.spell(journal.keep_seconds)} " in text
    assert f"maxevents: {journal.maxevents} " in text
    assert f"maxdead: {journal.maxdead} " in text
    assert f"{MOST:,} for it in memory" in text


def message() -> tuple[dict[str, str], bytes]:
    body = json.dumps({"events": [{"id": "ü"}]}).encode()
    return dict(signed(key_of(SECRET), "an-id", body, now_seconds=int(time.time()))), body


def test_verification_in_python_takes_what_is_signed_and_nothing_else() -> None:
    names: dict[str, Any] = {}
    exec(block("python", "def verify"), names)
    headers, body = message()
    names["verify"](SECRET, headers, body)
    names["verify"](SECRET, headers | {"webhook-signature": f"v1,AAAA {headers['webhook-signature']}"}, body)
    for tamper in TAMPERED.values():
        with pytest.raises(ValueError, match="not signed with this secret"):
            names["verify"](SECRET, *tamper(*message()))
    with pytest.raises(ValueError, match="too old"):
        names["verify"](SECRET, dict(signed(key_of(SECRET), "an-id", body, now_seconds=0)), body)


def test_verification_in_go_takes_what_is_signed_and_nothing_else(tmp_path: Path) -> None:
    go = require_program("go")
    (tmp_path / "go.mod").write_text("module webhook\n\ngo 1.19\n")
    (tmp_path / "webhook.go").write_text(block("go"))
    headers, body = message()
    cases = [(headers, body, True), *((*tamper(*message()), False) for tamper in TAMPERED.values())]
    cases.append((dict(signed(key_of(SECRET), "an-id", body, now_seconds=0)), body, False))
    told = [{"headers": each, "body": content.decode(), "good": good} for each, content, good in cases]
    (tmp_path / "cases.json").write_text(json.dumps(told))
    (tmp_path / "webhook_test.go").write_text(GO_TEST.replace("SECRET", SECRET))
    said = run(go, "test", "-v", ".", cwd=tmp_path, env={"GOCACHE": str(tmp_path / "cache"), "GOFLAGS": "-mod=mod"})
    assert f"tried {len(cases)}" in said


GO_TEST = """
package webhook

import (
	"encoding/json"
	"net/http"
	"os"
	"testing"
)

func TestVerify(t *testing.T) {
	content, err := os.ReadFile("cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Headers map[string]string
		Body    string
		Good    bool
	}
	if err := json.Unmarshal(content, &cases); err != nil {
		t.Fatal(err)
	}
	for i, each := range cases {
		header := http.Header{}
		for name, value := range each.Headers {
			header.Set(name, value)
		}
		if err := Verify("SECRET", header, []byte(each.Body)); (err == nil) != each.Good {
			t.Errorf("case %d: %v", i, err)
		}
	}
	t.Logf("tried %d", len(cases))
}
"""
