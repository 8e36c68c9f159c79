"""A call of a store, who signs it, and how the store refuses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.foundation.http_client import Reply


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a store, before it is signed.

    `path` is encoded as it is sent, and begins with a slash. `query` is encoded, too, and in the order that the store
    signs it in; it has no question mark. `headers` are those that the call itself needs.
    """

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @property
    def target(self) -> str:
        """The path with its query."""
        return f"{self.path}?{self.query}" if self.query else self.path


class Signer(Protocol):
    """What has the credentials for a store; it is used by all threads."""

    def signed(self, request: Request) -> Sequence[tuple[str, str]]:
        """Return all headers to send with `request`, those of its own among them. Each attempt is signed anew.

        Raises:
            Exception: there are no credentials, as whoever looks for them says it. The call ends with it.
        """

    def refused(self, answer: Reply) -> bool:
        """Tell whether the same request, signed anew, may succeed where the store has given this answer, of 3xx or 4xx.

        The credentials were fetched anew because they had expired, say.
        """


class RefusedError(Exception):
    """The store has answered, in the end, with a status that is not 2xx."""

    def __init__(self, answer: Reply) -> None:
        super().__init__(f"{answer.status} {answer.reason}")
        self.answer = answer
