"""Why an upstream does not give what was asked for, as an operator is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.foundation.http_client import HttpError
from registry.upstream.credentials import CredentialsError
from registry.upstream.realms import RealmError

if TYPE_CHECKING:
    from registry.oci.errors import UpstreamError

_REASONS: Final = (HttpError, CredentialsError, RealmError)
"""What names hosts, files and programs of this side, and says what to change."""


def explained(error: UpstreamError) -> str:
    """Return the text of `error`, which is fit for clients, with the reason behind it, which is not."""
    reason = error.__cause__
    return f"{error.message}: {reason}" if isinstance(reason, _REASONS) else error.message
