from __future__ import annotations

from http import HTTPStatus

import pytest

from registry.foundation.reasons import REASONS, reason


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (200, "OK"),
        (401, "Unauthorized"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (413, "Request Entity Too Large"),
        (414, "Request URI Too Long"),
        (416, "Requested Range Not Satisfiable"),
        (422, "Unprocessable Entity"),
        (429, "Too Many Requests"),
        (431, "Request Header Fields Too Large"),
        (507, "Insufficient Storage"),
        (299, "status code 299"),
    ],
)
def test_reason_phrases_are_spelled_as_in_go(status: int, phrase: str) -> None:
    assert reason(status) == phrase


def test_every_status_that_there_is_has_a_reason() -> None:
    assert {each.value for each in HTTPStatus} <= REASONS.keys()
