"""The SDK's calls as far as the store does not answer them: bounded, and not made while the store is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore import exceptions

if TYPE_CHECKING:
    from registry.foundation.circuit import Circuit

_UNANSWERED: Final = (exceptions.ConnectionError, exceptions.HTTPClientError)
_SILENT_ATTEMPTS: Final = 2
"""Attempts of a call that may end without a byte of an answer in time."""


def leave_alone(client: Any, circuit: Circuit) -> None:
    """Have `client` make no call while `circuit` is open, and tell it which of them were answered.

    A call of which two attempts were given no answer in time is not tried again.
    """

    def begin(**_: Any) -> None:
        circuit.require_closed()

    def end(**_: Any) -> None:
        circuit.heard()

    def fail(exception: Exception, **_: Any) -> None:
        if isinstance(exception, _UNANSWERED):
            circuit.missed()

    events = client.meta.events
    events.register_first("before-send.s3", begin)
    events.register_last("after-call.s3", end)
    events.register_last("after-call-error.s3", fail)
    events.register_first("needs-retry.s3", _give_up)


def _give_up(attempts: int, caught_exception: Exception | None = None, **_: Any) -> None:
    if isinstance(caught_exception, exceptions.ReadTimeoutError) and attempts >= _SILENT_ATTEMPTS:
        raise caught_exception
