"""When an upstream is not asked at all: it has not answered again and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from registry.foundation import circuit
from registry.foundation.circuit import CircuitOpenError
from registry.oci.errors import UpstreamBusyError

if TYPE_CHECKING:
    from collections.abc import Callable


class Circuit(circuit.Circuit):
    """The circuit of the upstream `name`, which `tell` watches."""

    def __init__(self, name: str, tell: Callable[[bool], None], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock=clock)
        self.watch(tell)
        self._name = name

    def enter(self) -> None:
        """Return if it may be asked; succeeded(), failed() or left() must follow.

        Raises:
            UpstreamBusyError: it may not; `retry_seconds` says for how long.
        """
        try:
            super().enter()
        except CircuitOpenError as error:
            text = f"{self._name} has failed too often just before"
            raise UpstreamBusyError(text, retry_seconds=error.retry_seconds) from error
