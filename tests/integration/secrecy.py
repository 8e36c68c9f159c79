"""Secrets that the suite uses, and the logs of our servers, which must not contain any of them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, unquote, urlsplit

from tests.integration.clients import finish, require_program

if TYPE_CHECKING:
    from pathlib import Path

SHORTEST: Final = 8
"""Characters of a secret that is looked for: shorter ones are words that a line may hold by chance."""

_KEYS: Final = {"secret", "password", "accesskey", "secretkey", "sessiontoken", "accountkey", "sastoken"}
_IN_ANSWERS: Final = re.compile(rb'"(?:access_|refresh_)?token" ?: ?"([^"]+)"')
_NAKED: Final = (
    r"_state=(?!\.\.\.)|X-Amz-Signature=(?!\.\.\.)|[?&]sig=(?!\.\.\.)|eyJ[\w-]{16,}\.eyJ"
    r"|\b(Basic|Bearer) [\w+/=.~-]{16,}"
)
"""Secrets that real clients send and get, which the tests do not see."""


@dataclass(slots=True)
class Secrecy:
    """What is secret, and the logs to search for it."""

    secrets: set[str] = field(default_factory=set)
    logs: set[Path] = field(default_factory=set)

    def add(self, secret: str) -> None:
        """Take note of a secret, as it is and as a URL has it."""
        self.secrets |= {each for each in (secret, unquote(secret)) if len(each) >= SHORTEST and "\n" not in each}

    def add_login(self, user: str, password: str) -> None:
        self.add(password)
        self.add(base64.b64encode(f"{user}:{password}".encode()).decode())

    def add_configuration(self, section: object) -> None:
        """Take note of the secrets in a configuration."""
        if isinstance(section, Mapping):
            for key, value in section.items():
                if key in _KEYS and isinstance(value, str):
                    self.add(value)
                elif key == "url":
                    self._add_url(value)
                elif key == "headers" and isinstance(value, Mapping):
                    self._add_headers(value)
                self.add_configuration(value)
        elif isinstance(section, list):
            for each in section:
                self.add_configuration(each)

    def _add_url(self, url: str) -> None:
        """Take note of what in the URL of an endpoint may be a secret."""
        parts = urlsplit(url)
        if parts.password:
            self.add_login(unquote(parts.username or ""), unquote(parts.password))
        for values in parse_qs(parts.query).values():
            for value in values:
                self.add(value)

    def _add_headers(self, headers: Mapping[str, object]) -> None:
        """Take note of headers that an endpoint is sent; those that tell browsers what is allowed are not secrets."""
        for values in (each for name, each in headers.items() if not name.lower().startswith("access-control-")):
            for value in values if isinstance(values, list) else [values]:
                self.add(str(value))

    def add_request(self, target: str, headers: Mapping[str, str]) -> None:
        """Take note of an upload's state and of credentials."""
        for value in parse_qs(target.partition("?")[2]).get("_state", []):
            self.add(value)
        for name, value in headers.items():
            if name.lower() == "authorization":
                self.add(value.partition(" ")[2])

    def add_callback(self, url: str) -> None:
        """Take note of what a browser brings back from an identity provider, if that is where `url` leads it."""
        parts = urlsplit(url)
        if "/_oidc/" in parts.path:
            fields = parse_qs(parts.query)
            for value in fields.get("code", []) + fields.get("state", []):
                self.add(value)

    def add_answer(self, location: str, body: bytes) -> None:
        """Take note of an upload's state and of tokens."""
        self.add_request(location, {})
        for token in _IN_ANSWERS.findall(body[:65536]):
            self.add(token.decode(errors="replace"))

    def leaks(self) -> list[str]:
        """Give the lines in which there is a secret, each with its file."""
        logs = [str(path) for path in sorted(self.logs) if path.exists()]
        if not logs:
            return []
        grep = (require_program("grep"), "--with-filename", "--line-number", "--binary-files=text")
        found = finish(*grep, "--perl-regexp", _NAKED, *logs).stdout
        if self.secrets:
            with NamedTemporaryFile("w") as listed:
                listed.write("".join(f"{secret}\n" for secret in sorted(self.secrets)))
                listed.flush()
                found += finish(*grep, "--fixed-strings", f"--file={listed.name}", *logs).stdout
        return sorted(set(found.splitlines()))


SUITE: Final = Secrecy()
"""Of all servers and clients of a run; tests/integration/conftest.py looks through it at the end."""
