"""What of an upload travels with the client: its id, and ``_state``, interchangeable with the Go registry's.

A token is ``base64url(HMAC-SHA256(secret, json) + json)``, padded, where json has Name, UUID, Offset and
StartedAt. The Go registry ignores fields it does not know; ours are

DigestState
    ``<algorithm>:<base64>``, the state of the hash over bytes ``0..Offset``, so that content pushed in any
    number of requests through any number of hosts is never read back.
Checkpoint
    the driver's identity of those bytes; on a medium without locks it tells them from others of equal length.

An id is a UUID whose first half is random. Its second half is an HMAC of that and of who has begun the session. So
every registry with the secret can tell whether a caller has, and nothing but the name of a directory is stored for it.

The signature makes the hash state as good as our own memory, but only because acknowledged bytes never
change: see drivers.base.Writer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from typing import Any

from registry.oci.digest import ALGORITHMS
from registry.oci.errors import BlobUploadInvalidError
from registry.oci.uploads import DigestState, UploadState

_MAC_SIZE = hashlib.sha256().digest_size
_MAX_LENGTH = 4096
_SEED_DIGITS = 16
_to_json = json.JSONEncoder(separators=(",", ":")).encode


class UploadTokens:
    """Signs and verifies upload states with the secret that all registries of a cluster share."""

    def __init__(self, secret: bytes) -> None:
        # To prepare a key takes OpenSSL five times as long as to copy one that is prepared.
        self._key = hmac.new(secret, digestmod="sha256")

    def sign(self, state: UploadState) -> str:
        """Return the token for `state`."""
        fields: dict[str, object] = {
            "Name": state.name,
            "UUID": state.upload_id,
            "Offset": state.offset,
            "StartedAt": state.started_at,
        }
        if state.digest_state:
            encoded = base64.b64encode(state.digest_state.state).decode("ascii")
            fields["DigestState"] = f"{state.digest_state.algorithm}:{encoded}"
        if state.checkpoint:
            fields["Checkpoint"] = state.checkpoint
        message = _to_json(fields).encode()
        return base64.urlsafe_b64encode(self._mac(message) + message).decode("ascii")

    def load(self, token: str, *, name: str, upload_id: str) -> UploadState:
        """Return the state in `token`.

        Raises:
            BlobUploadInvalidError: it was not signed with our secret, or for another upload, or is something else
                that a program with the same secret has signed.
        """
        try:
            if len(token) > _MAX_LENGTH:
                raise BlobUploadInvalidError("the upload state is too long")
            decoded = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raise BlobUploadInvalidError("the upload state is not base64url") from None
        mac, message = decoded[:_MAC_SIZE], decoded[_MAC_SIZE:]
        if not hmac.compare_digest(mac, self._mac(message)):
            raise BlobUploadInvalidError("the upload state was not signed with this registry's http.secret")
        try:
            state = _state(json.loads(message))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise BlobUploadInvalidError(
                "the upload state was signed with our secret, but is not an upload state"
            ) from None
        if (state.name, state.upload_id) != (name, upload_id):
            raise BlobUploadInvalidError("the upload state belongs to another upload")
        return state

    def new_id(self, name: str, owner: str) -> str:
        """Return an id for a session in the repository `name` that `owner` begins."""
        digits = secrets.token_hex(_SEED_DIGITS // 2)
        return self._id_of(f"{digits[:12]}4{digits[13:]}", name, owner)

    def has_begun(self, owner: str, *, name: str, upload_id: str) -> bool:
        """Tell whether `owner` has begun the session, whose id is a UUID; false of one of another registry."""
        given = upload_id.lower()
        return hmac.compare_digest(self._id_of(given.replace("-", "")[:_SEED_DIGITS], name, owner), given)

    def _id_of(self, seed: str, name: str, owner: str) -> str:
        """Return the UUID (RFC 9562, version 4) whose first half is `seed`, in hexadecimal."""
        # No state begins like this, so neither MAC is good for the other.
        message = f"upload id\0{seed}\0{name}\0{owner}".encode(errors="surrogatepass")
        mac = self._mac(message).hex()
        return f"{seed[:8]}-{seed[8:12]}-{seed[12:]}-8{mac[:3]}-{mac[3:15]}"

    def _mac(self, message: bytes) -> bytes:
        mac = self._key.copy()
        mac.update(message)
        return mac.digest()


def _state(fields: dict[str, Any]) -> UploadState:
    """Read signed fields; what belongs to the hash only saves work, so of a kind unknown here it is left out."""
    digest_state = None
    if fields.get("DigestState"):
        algorithm, _, encoded = fields["DigestState"].partition(":")
        if algorithm in ALGORITHMS:
            digest_state = DigestState(algorithm, base64.b64decode(encoded))
    return UploadState(
        name=fields["Name"],
        upload_id=fields["UUID"],
        offset=fields["Offset"],
        started_at=fields["StartedAt"],
        digest_state=digest_state,
        checkpoint=fields.get("Checkpoint", ""),
    )
