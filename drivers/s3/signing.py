"""Signatures of version 4, in headers and in URLs.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html says how they are made. The SDK's
take more than a hundred times as long. It still makes those of other versions.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from botocore.awsrequest import AWSRequest

from drivers.s3.answers import code_and_message, time_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drivers.calls.request import Request
    from drivers.s3.credentials import Credentials
    from drivers.s3.endpoint import Endpoint
    from registry.foundation.http_client import Reply

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_SHA256: Final = hashlib.sha256()
"""What digests begin with: to copy it takes a fifth of the time of making one, and most digests are of little."""
_NO_CONTENT: Final = _SHA256.hexdigest()
_NOT_NOW: Final = frozenset({400, 403})
"""Statuses with which a store refuses the time of a signature: Amazon says 403."""
_MOST_SKEW_SECONDS: Final = 5 * 60
"""By how much our clock may differ from that of a store, of which most allow 15 minutes."""
_SKEWED: Final = frozenset({"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"})
"""How a store says that a signature was not made now."""

_STALE: Final = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "InvalidAccessKeyId"}
)
"""How a store says that it knows the credentials no more, or not yet."""


class Signer:
    """Signs calls of `endpoint` by `credentials`, for a store whose clock is `ahead_seconds` ahead of ours."""

    def __init__(self, endpoint: Endpoint, credentials: Credentials, ahead_seconds: float = 0.0) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._ahead_seconds = ahead_seconds
        self._key = ("", "", hmac.new(b"", digestmod="sha256"))

    def signed(self, request: Request) -> Sequence[tuple[str, str]]:
        """Return the headers, as drivers.calls.request.Signer has it. The signature covers all of them and the body."""
        credentials = self._credentials.current()
        moment, scope = self._moment()
        digest = _sha256(request.body) if request.body else _NO_CONTENT
        headers = [
            ("host", self._endpoint.host),
            ("x-amz-content-sha256", digest),
            ("x-amz-date", moment),
            *((name.lower(), " ".join(value.split())) for name, value in request.headers),
        ]
        if credentials.token:
            headers.append(("x-amz-security-token", credentials.token))
        headers.sort()
        names = ";".join([name for name, _ in headers])
        lines = "".join([f"{name}:{value}\n" for name, value in headers])
        canonical = f"{request.method}\n{request.path}\n{_signed_query(request.query)}\n{lines}\n{names}\n{digest}"
        signature = self._signature(credentials.secret_key, moment, scope, canonical)
        identity = f"Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        headers.append(("Authorization", f"{_ALGORITHM} {identity}"))
        return headers

    def presigned(self, method: str, path: str, seconds: int) -> str:
        """Return a URL by which anyone may call `method` on `path`, which is encoded, for so many seconds."""
        credentials = self._credentials.current()
        moment, scope = self._moment()
        query = {
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{credentials.access_key}/{scope}",
            "X-Amz-Date": moment,
            "X-Amz-Expires": str(seconds),
            "X-Amz-Security-Token": credentials.token,
            "X-Amz-SignedHeaders": "host",
        }
        spelled = query_of({name: value for name, value in query.items() if value})
        canonical = f"{method}\n{path}\n{spelled}\nhost:{self._endpoint.host}\n\nhost\nUNSIGNED-PAYLOAD"
        signature = self._signature(credentials.secret_key, moment, scope, canonical)
        return f"{self._endpoint.url}{path}?{spelled}&X-Amz-Signature={signature}"

    def refused(self, answer: Reply) -> bool:
        """Tell whether the store may accept other credentials, which are at hand now."""
        return is_stale(answer) and self._credentials.renew()

    def ahead_by(self, answer: Reply) -> float | None:
        """Return by how many seconds the clock of the store is ahead of ours, if it may have refused for that.

        None if it has not, or if this is what was signed for. An answer to HEAD does not say why, and any answer may
        come from a cache: only that the store accepts a signature for that time shows that it is right.
        """
        if answer.status not in _NOT_NOW or (answer.content and code_and_message(answer)[0] not in _SKEWED):
            return None
        try:
            ahead = time_of(answer.headers.get("Date", "")) - time.time()
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        return ahead if abs(ahead - self._ahead_seconds) >= _MOST_SKEW_SECONDS else None

    def _moment(self) -> tuple[str, str]:
        """Return the time, and what a signature made now is good for."""
        now = time.gmtime(time.time() + self._ahead_seconds)
        day = f"{now.tm_year:04}{now.tm_mon:02}{now.tm_mday:02}"
        moment = f"{day}T{now.tm_hour:02}{now.tm_min:02}{now.tm_sec:02}Z"
        return moment, f"{day}/{self._endpoint.region}/{self._endpoint.service}/aws4_request"

    def _signature(self, secret: str, moment: str, scope: str, canonical: str) -> str:
        known_secret, known_scope, keyed = self._key
        if (known_secret, known_scope) != (secret, scope):
            key = f"AWS4{secret}".encode()
            for part in scope.split("/"):
                key = hmac.digest(key, part.encode(), "sha256")
            keyed = hmac.new(key, digestmod="sha256")
            self._key = secret, scope, keyed
        signing = keyed.copy()
        signing.update(f"{_ALGORITHM}\n{moment}\n{scope}\n{_sha256(canonical.encode())}".encode())
        return signing.hexdigest()


class SdkSigner:
    """Has the SDK sign: by version 2 for stores of others, or what Amazon wants for some kinds of buckets."""

    def __init__(self, endpoint: Endpoint, bucket: str) -> None:
        self._endpoint = endpoint
        self._bucket = bucket

    def signed(self, request: Request) -> Sequence[tuple[str, str]]:
        """Return the headers, as drivers.calls.request.Signer has it."""
        url = self._endpoint.url + request.target
        signed: Any = AWSRequest(request.method, url, dict(request.headers), request.body)
        signed.context.update(self._endpoint.context)
        signed.auth_path = f"/{self._bucket}{request.path.removeprefix(self._endpoint.path)}"
        self._endpoint.sdk_signer.sign("GetObject", signed)
        return [(name, str(value)) for name, value in signed.headers.items()]

    def refused(self, answer: Reply) -> bool:
        """Tell that there is nothing else at hand."""
        del answer
        return False


def is_stale(answer: Reply) -> bool:
    """Tell whether the store does not know the credentials, and may know others."""
    return bool(answer.content) and code_and_message(answer)[0] in _STALE


def _sha256(content: bytes) -> str:
    digest = _SHA256.copy()
    digest.update(content)
    return digest.hexdigest()


def query_of(values: Mapping[str, str]) -> str:
    """Return a query as it is sent: sorted and encoded. What has an empty value is named without an equals sign.

    Signatures of version 2 need that for what has no value, such as ``delete``.
    """
    return "&".join(
        [f"{name}={quote(value, safe='-_.~')}" if value else name for name, value in sorted(values.items())]
    )


def _signed_query(query: str) -> str:
    """Return a query as version 4 signs it: each name has an equals sign."""
    return "&".join([each if "=" in each else f"{each}=" for each in query.split("&")]) if query else ""
