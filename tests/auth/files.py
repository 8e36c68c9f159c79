"""Entries of htpasswd files, and a clock for what expires."""

from __future__ import annotations

import bcrypt


def line(user: str, password: str | bytes, cost: int = 4) -> str:
    secret = password.encode() if isinstance(password, str) else password
    return f"{user}:{bcrypt.hashpw(secret, bcrypt.gensalt(cost)).decode()}\n"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
