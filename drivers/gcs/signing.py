"""URLs by which anyone may fetch an object: https://cloud.google.com/storage/docs/authentication/signatures.

They are made here, since whoever only serves makes them, and so does not load google.cloud.storage.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import google.auth.credentials
import google.auth.exceptions
import google.auth.iam

from drivers.translation import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.gcs.credentials import Transport

URL_LIFETIME: Final = timedelta(minutes=20)
_ALGORITHM: Final = "GOOG4-RSA-SHA256"

_log = logging.getLogger(__name__)


class UrlSigner:
    """Signs by the key of `credentials`, or has the service sign that has it. URLs lead to `endpoint`."""

    def __init__(self, credentials: Any, transport: Transport, endpoint: str) -> None:
        self._credentials = credentials
        self._transport = transport
        self._endpoint = endpoint
        self._host = urlsplit(endpoint).netloc

    def signed_url(self, method: str, bucket: str, key: str) -> str | None:
        """Return a URL by which anyone may call `method` on the object, or None if these credentials cannot sign."""
        try:
            signer = self._signer()
            if signer is None:
                return None
            email, sign = signer
            return self._url(method, f"/{bucket}/{quote(key, safe='/~')}", email, sign)
        except (google.auth.exceptions.GoogleAuthError, OSError) as error:
            _log.warning("gcs: sign a URL of %s: %s; the content is streamed", key, one_line(error))
            return None

    def _url(self, method: str, path: str, email: str, sign: Callable[[bytes], bytes]) -> str:
        now = datetime.now(UTC)
        moment = f"{now:%Y%m%dT%H%M%SZ}"
        scope = f"{now:%Y%m%d}/auto/storage/goog4_request"
        query = (
            f"X-Goog-Algorithm={_ALGORITHM}&X-Goog-Credential={quote(f'{email}/{scope}', safe='')}"
            f"&X-Goog-Date={moment}&X-Goog-Expires={URL_LIFETIME.seconds}&X-Goog-SignedHeaders=host"
        )
        canonical = f"{method}\n{path}\n{query}\nhost:{self._host}\n\nhost\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        signature = sign(f"{_ALGORITHM}\n{moment}\n{scope}\n{digest}".encode()).hex()
        return f"{self._endpoint}{path}?{query}&X-Goog-Signature={signature}"

    def _signer(self) -> tuple[str, Callable[[bytes], bytes]] | None:
        """Return who signs, and how; None if nobody can."""
        credentials = self._credentials
        if isinstance(credentials, google.auth.credentials.Signing):
            return credentials.signer_email, credentials.sign_bytes
        if not hasattr(credentials, "service_account_email"):
            return None
        if not credentials.valid:
            credentials.refresh(self._transport)
        email = credentials.service_account_email
        return email, google.auth.iam.Signer(self._transport, credentials, email).sign  # type: ignore[no-untyped-call]
