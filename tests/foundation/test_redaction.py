from __future__ import annotations

import timeit

import pytest

from registry.foundation.redaction import is_secret_name, redacted, redacted_setting


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "PUT /v2/a/blobs/uploads/1?_state=abc%3D&digest=sha256:0",
            "PUT /v2/a/blobs/uploads/1?_state=...&digest=sha256:0",
        ),
        ("GET https://user:pass@host/x failed", "GET https://...@host/x failed"),
        (
            "https://b.example/k?X-Amz-Signature=f00&X-Amz-Date=1",
            "https://b.example/k?X-Amz-Signature=...&X-Amz-Date=1",
        ),
        ("?sv=1&sig=a%2Fb&se=2", "?sv=1&sig=...&se=2"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic ..."),
        ("authorization: bearer eyJhbGciOi.J9.x", "authorization: bearer ..."),
        ("AccountKey=abc==;EndpointSuffix=x", "AccountKey=...;EndpointSuffix=x"),
        ("password=hunter2 host=x", "password=... host=x"),
        ("/v2/token/tags/list?n=5", "/v2/token/tags/list?n=5"),
        ("a basic mistake", "a basic mistake"),
        ("GET /v2/a/tags/list?n=5&last=design&key=k", "GET /v2/a/tags/list?n=5&last=design&key=..."),
        ("https://b.example/?sv=1&SIG=a%2Fb&sr=c", "https://b.example/?sv=1&SIG=...&sr=c"),
        ("https://a.example/?to=x%26access_token%3Dabc&y=2", "https://a.example/?to=x%26access_token%3D...&y=2"),
        ("POST /f?code=abc client_secret=abc", "POST /f?code=... client_secret=..."),
        ("GET /ui/_oidc/corp?code=abc&state=abc&iss=x", "GET /ui/_oidc/corp?code=...&state=...&iss=x"),
        ("{'secret_key': 'abc', 'region': 'eu'}", "{'secret_key': '...', 'region': 'eu'}"),
        ('{"Password": "a\\"bc", "user": "u"}', '{"Password": "...", "user": "u"}'),
        ("{'X-Amz-Security-Token': b'abc'}", "{'X-Amz-Security-Token': b'...'}"),
        ("x-amz-security-token: abc\nhost: h", "x-amz-security-token: ...\nhost: h"),
        ("Authorization: SharedKey account:abc=", "Authorization: SharedKey ..."),
        ("https://user:p@ss@host/x", "https://...@host/x"),
        ("it says eyJhbGciOiJFUzI1NiJ9.eyJzdWIi.abc_def here", "it says ... here"),
        ("login with regkey_4f1c9a0be2d7_abc-def", "login with regkey_4f1c9a0be2d7_..."),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END", "-----BEGIN PRIVATE KEY-----...-----END"),
        ("the token: expired", "the token: expired"),
    ],
)
def test_secrets_are_taken_out_and_the_rest_stays(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://h.example/keys?p=policy&code=abc#x=abc", "https://h.example/keys?p=...&code=...#x=..."),
        ("https://h.example/keys?abc", "https://h.example/keys?..."),
        ("redis://:a/b?c@h.example:6379/0", "redis://...@h.example:6379/0"),
        ("//user:abc@h.example/x", "//...@h.example/x"),
        ("http://h.example:5000/name@sha256:0", "http://h.example:5000/name@sha256:0"),
        ("http://[::1]:5000/name@sha256:0", "http://[::1]:5000/name@sha256:0"),
        ("must be a URL, not 'https://u:abc@h.example/?k=abc'", "must be a URL, not 'https://...@h.example/?k=...'"),
        ("AccountName=a;AccountKey=abc==", "AccountName=a;AccountKey=..."),
        ("/var/lib/registry", "/var/lib/registry"),
        ("a?b=c", "a?b=c"),
    ],
)
def test_of_a_url_of_the_configuration_every_value_of_the_query_is_taken_out(text: str, expected: str) -> None:
    assert redacted_setting(text) == expected
    assert redacted_setting(expected) == expected


@pytest.mark.parametrize("name", ["secretkey", "Password", "sessiontoken", "X-Api-Key", "Authorization", "sas", "pwd"])
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["bucket", "region", "apikeys", "tokenpath", "tokenlifetime", "keyid", "key", "rootdirectory"]
)
def test_other_names_are_not_taken_for_secrets(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "piece",
    ["a", "=", "a=", "a:", "a: ", "'a':", "://", "?key", "eyJ", "eyJaaaaaaaa.", "Bearer ", "regkey_", "%3D", "\\'"],
)
def test_the_time_grows_with_the_length_whatever_a_stranger_sends(piece: str) -> None:
    def seconds(length: int) -> float:
        text = piece * (length // len(piece))
        return min(timeit.repeat(lambda: redacted(text), number=1, repeat=3))

    # Quadratic time would make it 64 times as long and more.
    assert seconds(64 * 1024) < 40 * seconds(8 * 1024) + 0.05
