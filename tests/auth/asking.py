"""Requests as clients send them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from auth.base import Access, UnauthorizedError

if TYPE_CHECKING:
    from auth.base import AccessController, Request

BASE_URL = "https://registry.example:5000"
ADDRESS = "192.0.2.1"


@dataclass(frozen=True, slots=True)
class Asked:
    authorization: str | None
    remote_address: str
    base_url: str = BASE_URL
    host: str = "registry.example:5000"
    forwarded_scheme: str | None = None

    def before_waiting(self) -> None:
        """Nobody waits."""


def request(authorization: str | None = None, *, address: str = ADDRESS) -> Asked:
    return Asked(authorization, address)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def on(name: str, *actions: str) -> list[Access]:
    return [Access("repository", name, action) for action in actions]


CATALOG = [Access("registry", "catalog", "*")]


def challenge(controller: AccessController, asked: Request, accesses: list[Access] | None = None) -> str:
    with pytest.raises(UnauthorizedError) as caught:
        controller.authorize(asked, accesses or [])
    return caught.value.challenge
