"""Requests to other servers, and what they answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import registry
from registry.foundation.http_client.answers import Reply, Stream
from registry.foundation.http_client.connections import Exchange
from registry.foundation.http_client.deadlines import Deadline, Pace
from registry.foundation.http_client.errors import HttpError
from registry.foundation.http_client.hops import ENDED, UNANSWERED, Hop
from registry.foundation.http_client.kept import KeptConnections
from registry.foundation.http_client.reach import Reach
from registry.foundation.http_client.requests import REDIRECTS, Request
from registry.foundation.http_client.straight import Straight
from registry.foundation.http_client.trust import Identity, Trust
from registry.foundation.reasons import reason

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from registry.foundation.http_client.connections import Connection
    from registry.foundation.http_client.destinations import Address
    from registry.foundation.http_client.locations import Location
    from registry.foundation.http_client.proxies import Proxy

_MOST_OF_REDIRECT: Final = 65536
"""Bytes that are read of the content of a redirect, so that its connection can be used again."""

_MOST_ORIGINS: Final = 64
"""Origins of which the proxy is remembered: redirects lead to any number."""

USER_AGENT: Final = f"registry/{registry.__version__}"


class HttpClient:
    """A client for all threads, which keeps up to `connections` connections to each place.

    `cafile` names the authorities to trust in place of the system's, and is read again when it changes; `context`, if
    given, verifies instead, and without `verify` nothing does. A peer that asks for it is shown `identity`, if it
    has the origin that the caller names. At most `follow` redirects are followed; with 0, a redirect is the answer.
    `reach` says by which proxy, and to which addresses; without one, by that of the environment.

    Raises:
        ParameterError: `cafile` or `identity` cannot be read, or do not hold certificates.
    """

    def __init__(  # noqa: PLR0913 - whom it trusts, how it goes there, what it says of itself
        self,
        *,
        cafile: str = "",
        user_agent: str = USER_AGENT,
        connections: int = 1,
        follow: int = 10,
        context: ssl.SSLContext | None = None,
        identity: Identity | None = None,
        verify: bool = True,
        reach: Reach | None = None,
    ) -> None:
        self._trust = Trust(cafile, context, identity=identity, verify=verify)
        self._trust_elsewhere = Trust(cafile, context, verify=verify) if identity else self._trust
        self._reach = reach or Reach()
        self._families: dict[str, int] = {}
        self._proxies: dict[tuple[str, str, int], Proxy | None] = {}
        self._user_agent = user_agent
        self._follow = follow
        self._kept = KeptConnections(connections)

    def request(  # noqa: PLR0913 - what is sent, and how much and how long is waited for
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Sequence[tuple[str, str]] = (),
        timeout_seconds: float | None,
        most_bytes: int = 65536,
        home: frozenset[Address] | None = None,
    ) -> Reply:
        """Return the answer, with the first `most_bytes` of its content; all has come within `timeout_seconds`.

        Only to find the address of a host may take longer: that cannot be cut short. None is to wait for ever. The peer
        may get the request more than once: where it closes a connection that was kept before anything of an answer has
        come, another one is used.

        `headers` are sent in their order; "Accept-Encoding: identity" is added if they have none. Length and
        connection are not theirs to say. A redirect to another origin gets but Accept, Content-Type, Range and
        User-Agent of them. It is followed to addresses only that a Guard allows, wherever `url` itself leads. Where a
        peer has named `url`, `home` are the addresses of that peer: then it is guarded as a redirect is.

        Raises:
            HttpError: there is no answer.
        """
        deadline = Deadline(timeout_seconds)
        request = Request.of(method, url, body, headers, user_agent=self._user_agent)
        begun = self._begun(request, deadline, timeout_seconds) if home is None else None
        if begun and (reply := begun.reply(most_bytes)):
            return reply
        with begun.stream() if begun else self._answer(request, deadline, timeout_seconds, home) as answer:
            content = answer.read(most_bytes + 1)
        truncated = len(content) > most_bytes
        return Reply(answer.status, answer.headers, content[:most_bytes], truncated, answer.location)

    def stream(  # noqa: PLR0913 - what is sent, and how long is waited for what
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        answer_seconds: float,
        stall_seconds: float,
        slowest: int = 0,
    ) -> Stream:
        """Return an answer whose content comes while it is read; its head has come within `answer_seconds`.

        Then no wait is longer than `stall_seconds`, and at least `slowest` bytes per second come over each minute of
        waiting. Redirects, and the rest, are as with request().

        Raises:
            HttpError: there is no answer.
        """
        request = Request.of(method, url, None, headers, user_agent=self._user_agent)
        deadline = Deadline(answer_seconds)
        begun = self._begun(request, deadline, answer_seconds)
        answer = begun.stream() if begun else self._answer(request, deadline, answer_seconds)
        answer.bear(Pace(stall_seconds, slowest), stall_seconds)
        return answer

    def close(self) -> None:
        """Close the connections that are kept, and those in use when they have their answers."""
        self._kept.close()

    def _begun(self, request: Request, deadline: Deadline, timeout_seconds: float | None) -> Straight | None:
        """Return the answer that begins on a connection that is kept.

        None if there is none, if the answer may be a redirect to follow, or if the address of the peer is judged.

        Raises:
            HttpError: there is no answer.
        """
        if self._follow or self._reach.private is not None:
            return None
        return Straight.begin(request, deadline, timeout_seconds, self._trust, self._kept)

    def _answer(
        self,
        request: Request,
        deadline: Deadline,
        timeout_seconds: float | None,
        home: frozenset[Address] | None = None,
    ) -> Stream:
        """Return the last answer after redirects, of which the head has come by `deadline`.

        Raises:
            HttpError: there is none.
        """
        reach = self._reach
        hop = Hop(request, self._exchange(deadline), self._trust, timeout_seconds)
        hop.foreign = home is not None
        hop.guard = reach.own(request.location) if home is None else reach.beyond(home, "it is at")
        for _ in range(self._follow + 1):
            try:
                answer = self._answer_of(hop)
            except UNANSWERED as error:
                raise hop.told(error) from None
            if not self._follow or answer.status not in REDIRECTS:
                return answer
            to = next(iter(answer.headers.getlist("Location")), "")
            if not to:
                return answer
            with answer:
                answer.read(_MOST_OF_REDIRECT)
            if home is None:
                home = hop.addresses()
            hop = replace(hop, request=hop.request.redirected(answer.status, to), exchange=self._exchange(deadline))
            hop.redirected = hop.foreign = True
            is_own = hop.request.location.origin == request.location.origin
            hop.trust = self._trust if is_own else self._trust_elsewhere
            hop.guard = reach.beyond(home, "it redirects to")
        raise HttpError(f"the answer is still {answer.status} {reason(answer.status)} after {self._follow} redirects")

    def _exchange(self, deadline: Deadline) -> Exchange:
        return Exchange(deadline, self._reach.connect_seconds, self._families)

    def _proxy_for(self, location: Location) -> Proxy | None:
        """Return the proxy by which `location` is reached: the environment is asked once for each origin.

        Raises:
            HttpError: it cannot be used.
        """
        origin = location.origin
        try:
            return self._proxies[origin]
        except KeyError:
            proxy = self._reach.proxy_for(location)
        if len(self._proxies) >= _MOST_ORIGINS:
            self._proxies.clear()
        self._proxies[origin] = proxy
        return proxy

    def _answer_of(self, hop: Hop) -> Stream:
        """Return the answer of this hop.

        Raises:
            HttpError: it may not be asked.
            OSError: or HTTPException, there is no answer.
        """
        location = hop.request.location
        hop.require_way(self._proxy_for(location))
        context = hop.trust.context() if location.scheme == "https" else None
        key = (location.origin, hop.proxy, context)
        connection = self._kept.take(key)
        if connection:
            try:
                return self._ask(connection, key, hop)
            except ENDED:
                if hop.exchange.answered:
                    raise
        return self._ask(hop.connection(context), key, hop)

    def _ask(self, connection: Connection, key: object, hop: Hop) -> Stream:
        """Return the answer that comes on `connection`, which is kept or closed when that was read."""
        try:
            whole = hop.send(connection)
            return Stream(hop, connection, key, self._kept, keep=whole)
        except BaseException as error:
            connection.close()
            if isinstance(error, TimeoutError):
                self._kept.drop(key)
            raise
