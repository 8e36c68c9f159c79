from __future__ import annotations

import pytest

from registry.notifications.consumers import shown_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example/services/T0/hunter2", "https://hooks.example/..."),
        ("https://user:hunter2@ci.example:8443/", "https://ci.example:8443"),
        ("https://ci.example?code=hunter2", "https://ci.example/..."),
        ("https://ci.example/#hunter2", "https://ci.example/..."),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("http://user:hunter2/3@ci.example/", "..."),
        ("http://[hunter2/", "..."),
        ("hunter2", "..."),
        ("", ""),
    ],
)
def test_of_a_url_nothing_is_shown_that_may_be_secret(url: str, shown: str) -> None:
    assert shown_url(url) == shown
