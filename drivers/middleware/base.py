"""The contract of a storage middleware: it stands before a driver and says where clients fetch content."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Self

from drivers.delegating import DelegatingDriver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.base import StorageDriver


class Middleware(DelegatingDriver):
    """What the configuration names in ``middleware.storage``; it may stand before another middleware."""

    @classmethod
    @abstractmethod
    def from_options(cls, inner: StorageDriver, options: Mapping[str, object]) -> Self:
        """Build the middleware before `inner` from its ``options`` in the configuration.

        It is built at every start and in every process, so nothing is fetched and no thread begun here.

        Raises:
            registry.foundation.errors.ParameterError: an option is missing or wrong.
        """
