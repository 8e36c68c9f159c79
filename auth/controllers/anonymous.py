"""No access control: everybody may do everything (``auth: none``, or no ``auth`` section)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from auth.base import Access, AccessController, Grant, Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class AnonymousController(AccessController):
    """Lets everybody in."""

    name = "none"
    grants_everything = True
    no_pages = ""

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        del parameters
        return cls()

    def authorize(self, request: Request, accesses: Sequence[Access]) -> Grant:
        del request, accesses
        return Grant()

    def judge(self, grant: Grant, accesses: Sequence[Access]) -> None:
        """Let everybody do everything."""
