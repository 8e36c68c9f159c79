from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.app import create_app
from registry.services import build_services
from tests.config.forms import configure

if TYPE_CHECKING:
    from flask.testing import FlaskClient

PATHS = ["/v2/", "/v2/_catalog", "/v2/team/app/tags/list", "/v2/team/app/manifests/v1", "/v2/team/app/blobs/uploads/"]
UI = "https://ui.example.com"
PREFLIGHT = {"Origin": UI, "Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization"}
SILLY = "auth: {silly: {realm: r, service: s}}\n"


def client(http: str, *, auth: str = SILLY) -> FlaskClient:
    return create_app(build_services(configure(f"{auth}http: {http}"))).test_client()


@pytest.mark.parametrize("path", PATHS)
def test_options_is_answered_before_access_control(path: str) -> None:
    answer = client(f"{{cors: {{origins: ['{UI}'], credentials: true}}}}").options(path, headers=PREFLIGHT)
    assert (answer.status_code, answer.data) == (204, b"")
    assert "Content-Type" not in answer.headers
    assert answer.headers["Access-Control-Allow-Origin"] == UI
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Access-Control-Max-Age"] == "600"
    assert answer.headers["Vary"] == "Origin"
    assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


def test_refusal_can_be_read_by_the_page_so_that_it_can_log_in() -> None:
    answer = client(f"{{cors: {{origins: ['{UI}']}}}}").get("/v2/", headers={"Origin": UI})
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == UI
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"WWW-Authenticate", "Docker-Content-Digest", "Link"} <= set(exposed)
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_origin_that_is_not_named_is_told_nothing_and_caches_keep_the_answers_apart() -> None:
    answer = client(f"{{cors: {{origins: ['{UI}']}}}}").options("/v2/", headers=PREFLIGHT | {"Origin": "https://other"})
    assert answer.status_code == 204
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")]
    assert answer.headers["Vary"] == "Origin"


def test_asterisk_allows_everybody_but_never_with_credentials() -> None:
    answer = client(f"{{cors: {{origins: ['*', '{UI}'], credentials: true}}}}").get(
        "/v2/", headers={"Origin": "https://x"}
    )
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_raw_headers_are_sent_on_options_too_and_go_before_the_shorthand() -> None:
    raw = "headers: {Access-Control-Allow-Origin: ['https://raw'], Access-Control-Allow-Methods: [GET]}"
    answer = client(f"{{{raw}}}").options("/v2/", headers=PREFLIGHT)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Methods"]) == (204, "GET")

    answer = client(f"{{{raw}, cors: {{origins: ['{UI}']}}}}").options("/v2/", headers=PREFLIGHT)
    assert answer.headers.getlist("Access-Control-Allow-Origin") == ["https://raw"]
    assert answer.headers.getlist("Access-Control-Allow-Methods") == ["GET"]
    assert answer.headers["Access-Control-Max-Age"] == "600"


def test_without_a_section_nothing_is_said_of_origins() -> None:
    answer = client("{}", auth="").get("/v2/", headers={"Origin": UI})
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control-") or name == "Vary"]


COPY = "/v2/a/b/_registry/tags/copy"
PLAIN = f"headers: {{access-control-allow-origin: ['{UI}']}}"


class TestWhatChangesSomethingForAPageOfAnotherSite:
    """The body is malformed, which is found out last."""

    def status(self, http: str, origin: str, site: str) -> int:
        headers = {"Origin": origin, "Sec-Fetch-Site": site}
        asked = client(f"{{extensions: {{enabled: true}}, {http}}}", auth="")
        answer = asked.post(COPY, json=[], headers=headers)
        assert answer.get_json()["errors"]
        return answer.status_code

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    @pytest.mark.parametrize("http", ["secret: s", f"cors: {{origins: ['{UI}']}}", PLAIN])
    def test_is_refused(self, http: str, site: str) -> None:
        assert self.status(http, "https://other.example", site) == 403
        assert self.status(http, "null", site) == 403

    @pytest.mark.parametrize("http", [f"cors: {{origins: ['{UI}']}}", "cors: {origins: ['*']}", PLAIN])
    def test_is_done_where_cors_allows_it(self, http: str) -> None:
        assert self.status(http, UI, "same-site") == 400

    @pytest.mark.parametrize("site", ["same-origin", "none"])
    def test_is_done_for_who_is_no_such_page(self, site: str) -> None:
        assert self.status("secret: s", UI, site) == 400
