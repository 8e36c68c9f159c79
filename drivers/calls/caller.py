"""Calls of one endpoint: each is tried a few times, and ends within one deadline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar, cast

from drivers.calls.request import RefusedError
from drivers.calls.waits import asked_seconds, pause_seconds
from registry.foundation.circuit import MOST_WAITING, Circuit
from registry.foundation.http_client import HttpError, Reply
from registry.foundation.http_client.deadlines import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drivers.calls.request import Request, Signer
    from drivers.calls.waits import Limits
    from registry.foundation.http_client import HttpClient, Stream

_GOOD: Final = range(200, 300)
_REFUSALS: Final = range(300, 500)
_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses with which a store says that it may do the same later."""

_MOST_OF_ERROR: Final = 65536
"""Bytes that are read of the content of an error."""
_LITTLE: Final = 64 * 1024
"""The longest body that is sent at once on any line."""
_SLOWEST: Final = 1024
"""Bytes per second, over a minute, below which a stream is not worth the thread that waits for it."""
_SHARE_OF_FIRST: Final = 2 / 3
"""How much of the time that is left an attempt may wait: what lies between may have dropped the connection silently."""
_LEAST_SECONDS: Final = 0.1
"""What an attempt needs."""

_Answer = TypeVar("_Answer")


def _never(_: Reply) -> bool:
    return False


class Caller:
    """Calls of the store at `endpoint` (``SCHEME://HOST[:PORT]``), which `signer` signs; for all threads.

    A call is tried `limits.attempts` times where nobody has answered, where the store is too busy or out of order, and
    where the signer has something better. All of it ends within `limits.seconds`. `is_busy` tells of an answer of 3xx
    or 4xx whether its content says that the store is too busy, as its status does not.

    A store may get a call twice that it has done already, but whose answer was lost.
    """

    def __init__(  # noqa: PLR0913 - who asks whom, by what, and how it is answered
        self,
        endpoint: str,
        signer: Signer,
        limits: Limits,
        client: HttpClient,
        circuit: Circuit | None = None,
        *,
        is_busy: Callable[[Reply], bool] = _never,
    ) -> None:
        self._endpoint = endpoint
        self._signer = signer
        self._limits = limits
        self._client = client
        self._circuit = circuit or Circuit(most_waiting=MOST_WAITING)
        self._is_busy = is_busy

    def call(self, request: Request, *, most_bytes: int) -> Reply:
        """Return the answer, of a status of 2xx, with the first `most_bytes` of its content, or 64 KiB if that is more.

        Raises:
            RefusedError: it is of another status.
            HttpError: there is none.
            CircuitOpenError: the store is not asked, as it has not answered before.
        """
        url = self._endpoint + request.target

        def ask(headers: Sequence[tuple[str, str]], seconds: float) -> Reply:
            return self._client.request(
                request.method,
                url,
                body=request.body or None,
                headers=headers,
                timeout_seconds=seconds,
                most_bytes=max(most_bytes, _MOST_OF_ERROR),
            )

        if len(request.body) <= _LITTLE:
            return self._final(request, ask)
        answer: Reply = self._aside(request, ask)
        self._circuit.heard()
        return answer

    def stream(self, request: Request) -> Stream:
        """Return an answer, of a status of 2xx, whose content comes while it is read.

        Its head has come within the deadline. Then no wait is longer than that, and something comes all the time.

        Raises:
            RefusedError: it is of another status.
            HttpError: there is none.
            CircuitOpenError: the store is not asked, as it has not answered before.
        """
        url = self._endpoint + request.target

        def ask(headers: Sequence[tuple[str, str]], seconds: float) -> Stream | Reply:
            answer = self._client.stream(
                request.method,
                url,
                headers=headers,
                answer_seconds=seconds,
                stall_seconds=self._limits.seconds,
                slowest=_SLOWEST,
            )
            if answer.status in _GOOD:
                return answer
            with answer:
                answer.bear(Deadline(seconds), seconds)
                content = answer.read(_MOST_OF_ERROR)
            return Reply(answer.status, answer.headers, content, len(content) == _MOST_OF_ERROR, answer.location)

        # That a head has come does not say that the store answers: its content may never come.
        return self._aside(request, ask)

    def _final(self, request: Request, ask: Callable[[Sequence[tuple[str, str]], float], _Answer | Reply]) -> _Answer:
        """Return the answer to the first attempt that is given one of 2xx; `ask` is given headers and seconds."""
        circuit = self._circuit
        circuit.enter()
        try:
            answer = self._tried(request, ask)
        except HttpError:
            circuit.failed()
            raise
        except RefusedError:
            circuit.succeeded()
            raise
        except BaseException:
            circuit.left()
            raise
        circuit.succeeded()
        return answer

    def _aside(self, request: Request, ask: Callable[[Sequence[tuple[str, str]], float], _Answer | Reply]) -> _Answer:
        """Do what _final() does for what takes its time, and is no sign of silence meanwhile.

        A body that could not be sent in time says nothing of the store: the line may be slow. That the store itself
        hangs is seen by the calls that carry little.
        """
        circuit = self._circuit
        circuit.require_closed()
        try:
            return self._tried(request, ask)
        except HttpError as error:
            if not error.unsent:
                circuit.missed()
            raise
        except RefusedError:
            circuit.heard()
            raise

    def _tried(self, request: Request, ask: Callable[[Sequence[tuple[str, str]], float], _Answer | Reply]) -> _Answer:
        deadline = time.monotonic() + self._limits.seconds
        attempt, patient = 1, self._limits.attempts == 1
        while True:
            left = deadline - time.monotonic()
            try:
                answer = ask(self._signer.signed(request), round(left if patient else left * _SHARE_OF_FIRST, 1))
            except HttpError as error:
                pause = pause_seconds(attempt)
                if self._is_last(attempt, deadline - pause):
                    raise self._last(error, attempt) from error
                patient = patient or error.silent
            else:
                if not isinstance(answer, Reply) or answer.status in _GOOD:
                    return cast("_Answer", answer)
                if answer.status in _PASSING or (answer.status in _REFUSALS and self._is_busy(answer)):
                    pause = max(pause_seconds(attempt), asked_seconds(answer))
                elif answer.status in _REFUSALS and self._signer.refused(answer):
                    pause = 0.0
                else:
                    raise RefusedError(answer)
                if self._is_last(attempt, deadline - pause):
                    raise RefusedError(answer)
                self._circuit.heard()
            time.sleep(pause)
            attempt += 1

    def _last(self, error: HttpError, attempts: int) -> HttpError:
        """Return what to raise for the last of so many attempts, which may have had little time left."""
        if attempts == 1:
            return error
        of_all = HttpError(f"{error}, the last of {attempts} attempts within {self._limits.seconds:g} s")
        of_all.silent, of_all.redirected, of_all.unsent = error.silent, error.redirected, error.unsent
        return of_all

    def _is_last(self, attempt: int, latest: float) -> bool:
        """Tell whether no other attempt follows `attempt`: there were enough, or it would begin after the deadline."""
        return attempt >= self._limits.attempts or time.monotonic() + _LEAST_SECONDS > latest
