"""For trying out clients: any Authorization header will do (``auth: silly``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from auth.base import Access, AccessController, Grant, Request, UnauthorizedError
from auth.headers import bearer_challenge
from registry.foundation.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class SillyController(AccessController):
    """Challenges a request without an Authorization header, and lets in every request that has one."""

    name = "silly"
    grants_everything = True
    no_pages = "auth: silly knows no users who could log in; use htpasswd or local, or switch ui off"

    def __init__(self, realm: str, service: str) -> None:
        self._realm = realm
        self._service = service

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        section = Parameters(parameters)
        return cls(section.required_string("realm"), section.required_string("service"))

    def authorize(self, request: Request, accesses: Sequence[Access]) -> Grant:
        if request.authorization:
            return Grant("silly")
        # One scope per access, unmerged: this controller shows what a naive server sends.
        scope = " ".join(f"{access.type}:{access.name}:{access.action}" for access in accesses)
        raise UnauthorizedError(bearer_challenge(self._realm, self._service, scope), accesses)
