"""Where a bucket is reached, as the SDK finds it: by region, style, acceleration, access point and whatever else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_KEY: Final = "x"
_SIGNED_HERE: Final = "s3v4"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A bucket at ``SCHEME://HOST``, where the path of each of its objects begins with `path`, encoded, and a slash.

    `region` and `service` are what signatures of version 4 name. `sdk_signer` signs in its place if that is another
    one, by what `context` says.
    """

    scheme: str
    host: str
    path: str
    region: str
    service: str
    sdk_signer: Any = None
    context: Mapping[str, Any] | None = None

    @property
    def url(self) -> str:
        """Scheme and host."""
        return f"{self.scheme}://{self.host}"


def endpoint_of(client: Any, bucket: str) -> Endpoint:
    """Return where the SDK's `client` would ask for objects of `bucket`; nothing is sent.

    Raises:
        botocore.exceptions.BotoCoreError: the bucket or something of the client's configuration is not taken.
    """
    found: dict[str, Any] = {}

    def choose_signer(**_: object) -> Any:
        return UNSIGNED

    def note(request: Any, request_signer: Any, **signing: Any) -> None:
        found.update(signing, url=request.url, signer=request_signer, context=dict(request.context))

    def answer(request: Any, **_: object) -> AWSResponse:
        return AWSResponse(request.url, 200, {"Content-Length": "0"}, _Nothing())

    handlers = {"choose-signer": choose_signer, "before-sign": note, "before-send": answer}
    for event, handler in handlers.items():
        client.meta.events.register_first(f"{event}.s3.HeadObject", handler)
    try:
        client.head_object(Bucket=bucket, Key=_KEY)
    finally:
        for event, handler in handlers.items():
            client.meta.events.unregister(f"{event}.s3.HeadObject", handler)
    split = urlsplit(found["url"])
    is_own = found["context"].get("auth_type") == _SIGNED_HERE
    signing = found["context"].get("signing", {})
    return Endpoint(
        split.scheme,
        split.netloc,
        split.path.removesuffix(f"/{_KEY}"),
        signing.get("region") or found["region_name"],
        signing.get("signing_name") or found["signing_name"],
        None if is_own else found["signer"],
        None if is_own else found["context"],
    )


class _Nothing:
    """The content of an answer that has none."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        return iter(())
