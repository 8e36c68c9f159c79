from __future__ import annotations

import json

import pytest

from registry.app import create_app
from registry.health.board import Board, Verdict
from registry.services import build_services
from tests.config.forms import configure

REFUSAL = {
    "errors": [
        {
            "code": "UNAVAILABLE",
            "message": "service unavailable",
            "detail": "health check failed: please see /debug/health",
        }
    ]
}


def test_everything_but_the_probes_is_refused_while_a_check_fails() -> None:
    board = Board()
    client = create_app(build_services(configure("health: {file: [{file: /x}]}"), board=board)).test_client()
    board.post(Verdict({"/x": "file exists"}, {"/x": "file exists"}, public={"file": "failing"}))

    for path in ("/", "/v2/", "/v2/a/tags/list", "/nowhere"):
        answer = client.get(path)
        assert (answer.status_code, json.loads(answer.data)) == (503, REFUSAL)
        assert int(answer.headers["Retry-After"]) > 0
        assert "Docker-Distribution-Api-Version" not in answer.headers
    assert client.head("/v2/").data == b""
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json) == (503, {"file": "failing"})

    board.post(Verdict())
    assert client.get("/v2/").status_code == 200
    assert client.get("/readyz").json == {}


@pytest.mark.parametrize("prefix", ["", "/registry/"])
def test_pages_are_refused_in_words_for_people(prefix: str) -> None:
    board = Board()
    text = f"health: {{file: [{{file: /x}}]}}\nui: {{enabled: true}}\nhttp: {{prefix: '{prefix}'}}"
    client = create_app(build_services(configure(text), board=board)).test_client()
    board.post(Verdict({"/x": "file exists"}, {"/x": "file exists"}))
    root = prefix.rstrip("/")

    answer = client.get(f"{root}/ui/app")

    assert (answer.status_code, answer.mimetype) == (503, "text/plain")
    assert "health checks fails" in answer.text
    assert "Retry-After" in answer.headers
    assert client.get(f"{root}/v2/").json == REFUSAL


def test_without_a_health_section_readiness_suffers_and_the_api_does_not() -> None:
    board = Board()
    client = create_app(build_services(configure(), board=board)).test_client()
    board.post(Verdict(unready={"storagedriver_inmemory": "gone"}))
    assert client.get("/v2/").status_code == 200
    assert client.get("/readyz").status_code == 503


def test_probes_are_answered_outside_of_the_prefix_and_say_nothing_of_the_api() -> None:
    client = create_app(build_services(configure("http: {prefix: /registry/}"))).test_client()
    for path in ("/healthz", "/readyz"):
        answer = client.get(path)
        assert (answer.status_code, answer.json) == (200, {})
        assert "Docker-Distribution-Api-Version" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-cache"
