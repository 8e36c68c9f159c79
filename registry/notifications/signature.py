"""Signatures of Standard Webhooks 1.0.0 (spec/standard-webhooks.md, "Webhook headers (metadata)").

What is signed is ``id.timestamp.body``, so that a receiver can refuse what was changed, and what is sent to it again
much later.
"""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX: Final = "whsec_"


def key_of(secret: str) -> bytes:
    """Return the key that ``whsec_`` and its base64 spell.

    Raises:
        ValueError: `secret` does not spell one.
    """
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)


def signed(key: bytes, identifier: str, body: bytes, *, now_seconds: int) -> Sequence[tuple[str, str]]:
    """Return the headers of a message called `identifier`, which is the same for each attempt to send it."""
    content = b"%s.%d.%s" % (identifier.encode(), now_seconds, body)
    signature = base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    return (
        ("webhook-id", identifier),
        ("webhook-timestamp", str(now_seconds)),
        ("webhook-signature", f"v1,{signature}"),
    )
