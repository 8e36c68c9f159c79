"""What of an answer is compared: the status, the headers that clients read, and the shape of the body."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tests.integration.api import digest_of

if TYPE_CHECKING:
    from tests.integration.api import Answer, Api
    from tests.integration.compat.cases import Case

HEADERS = (
    "Accept-Ranges",
    "Allow",
    "Cache-Control",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Docker-Content-Digest",
    "Docker-Distribution-Api-Version",
    "Docker-Upload-UUID",
    "ETag",
    "Link",
    "Location",
    "OCI-Subject",
    "OCI-Filters-Applied",
    "Range",
)
UPLOAD_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
UPLOADED = b"12345"

Observation = dict[str, str]


def observe(api: Api, case: Case) -> Observation:
    """Ask one server and give what a client would notice."""
    answer = api.request(case.method, resolve(api, case.target), case.body, case.headers)
    seen = {"status": str(answer.status), "body": _shape(answer)}
    if not answer.complete:
        seen["complete"] = "no"
    for name in HEADERS:
        value = answer.headers[name]
        if value is not None and not (name == "Content-Length" and _is_worded_freely(answer)):
            seen[name] = _normal(name, value)
    return seen


def resolve(api: Api, target: str) -> str:
    """Fill the upload into the target, if it asks for one."""
    found = re.match(r"\{(\w+)\}", target)
    if not found:
        return target
    new = api.begin_upload("up").location
    if found[1] == "upload":
        return target.replace(found[0], new)
    grown = api.send_chunk(new, 0, UPLOADED).location
    places = {
        "upload5": grown,
        "stale": new,
        "bare": grown.partition("?")[0],
        "forged": re.sub("_state=....", "_state=AAAA", grown),
    }
    return target.replace(found[0], places[found[1]])


def _is_worded_freely(answer: Answer) -> bool:
    """Tell whether lengths cannot be compared: messages have other words, and JSON has other spaces."""
    return answer.status >= 300 or answer.headers.get_content_type() == "application/json"


def _shape(answer: Answer) -> str:
    if not answer.body:
        return "empty"
    if answer.headers.get_content_type() != "application/json":
        is_text = answer.headers.get_content_maintype() == "text"
        return "text" if is_text else f"content {digest_of(answer.body)[:19]}"
    document, _ = json.JSONDecoder().raw_decode(answer.body.decode())  # 2.8 sends some errors twice
    if "errors" in document:
        return "errors " + " ".join(error["code"] for error in document["errors"])
    if document.get("tags"):
        document["tags"] = sorted(document["tags"])  # 2.8 lists them as the directory does
    return json.dumps(document, sort_keys=True)


def _normal(name: str, value: str) -> str:
    if name == "Allow":
        return ", ".join(sorted(method.strip() for method in value.split(",")))
    if name == "Content-Type":
        return value.partition(";")[0]  # 2.8 says that JSON is UTF-8, 3 no longer does
    value = re.sub(r"^https?://[^/]+", "", UPLOAD_ID.sub("<id>", value))
    return re.sub(r"_state=[^&]+", "_state=<state>", value)
