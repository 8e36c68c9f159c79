"""What can be wrong with a request, in the specification's words.

Classes only: which code and status each becomes on the wire is decided in one place, by the handlers.
`detail` is any JSON value and is sent to the client, so nothing secret belongs in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.oci.digest import Digest


class RegistryError(Exception):
    """Base of every error that is told to the client; the text is the message, `detail` the rest."""

    def __init__(self, message: str = "", detail: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class NameInvalidError(RegistryError):
    """The repository name breaks the grammar."""


class NameUnknownError(RegistryError):
    """No such repository."""


class TagInvalidError(RegistryError):
    """The tag breaks the grammar."""


class DigestInvalidError(RegistryError):
    """The digest is malformed, of an unknown algorithm, or not that of the content."""


class SizeInvalidError(RegistryError):
    """The length announced is not the length sent."""


class RangeInvalidError(RegistryError):
    """A chunk does not begin where the upload stands (416)."""


class RangeNotSatisfiableError(RegistryError):
    """A requested range lies outside the content of `size` bytes (416, RFC 9110 section 15.5.17)."""

    def __init__(self, size: int) -> None:
        super().__init__("the range lies outside the content")
        self.size = size


class BlobUnknownError(RegistryError):
    """The repository has no such blob."""


class BlobUploadUnknownError(RegistryError):
    """No such upload session, or it has ended."""


class BlobUploadInvalidError(RegistryError):
    """The upload state was not issued for this upload, or not by a registry with our secret."""


class ManifestUnknownError(RegistryError):
    """The repository has no manifest by that tag or digest."""


class ManifestInvalidError(RegistryError):
    """The manifest cannot be understood, or contradicts its media type."""


class ManifestTooLargeError(ManifestInvalidError):
    """The manifest exceeds the size that every client may rely on."""


class ManifestBlobUnknownError(RegistryError):
    """A manifest names content, `digest`, that the repository lacks; one of possibly several in a list.

    The detail is the digest alone, as in the Go registry: there are clients that push what it names and try again.
    """

    def __init__(self, digest: Digest) -> None:
        super().__init__("blob unknown to registry", str(digest))
        self.digest = digest


class ManifestDependenciesError(RegistryError):
    """All that a manifest names and may not, or that its repository lacks: `errors`, one each."""

    def __init__(self, errors: list[RegistryError]) -> None:
        super().__init__("the manifest names content that cannot be referenced")
        self.errors = errors


class PaginationInvalidError(RegistryError):
    """The page size asked for is not a number, or too large."""


class ParameterInvalidError(RegistryError):
    """A parameter of the request is not one of the values that it may have."""


class ContentTypeError(RegistryError):
    """The body is said to be of another media type than the one that is taken here (415)."""


class DeniedError(RegistryError):
    """A policy of this registry forbids it."""


class UnsupportedError(RegistryError):
    """This registry does not do that, or is configured not to."""


class BusyError(RegistryError):
    """Others do here what may be done for a few at a time only; the client may try again soon."""


class UpstreamError(RegistryError):
    """The registry that this one caches does not give what was asked for, and the cache has none of it.

    That it does not exist there is none of these. The text is fit for clients: it names the upstream, not its URL.
    """

    def __init__(self, message: str, *, retry_seconds: int | None = None) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class UpstreamRefusedError(UpstreamError):
    """It refuses the credentials that this registry has, or wants some (its 401 and 403)."""


class UpstreamLimitedError(UpstreamError):
    """It limits how often this registry may ask (its 429); `retry_seconds` says for how long, if it is known."""


class UpstreamFailedError(UpstreamError):
    """It answers 5xx, or what is not an answer, or other content than it should."""


class UpstreamSilentError(UpstreamError):
    """It does not answer in time, or cannot be reached."""


class UpstreamBusyError(UpstreamError):
    """It is not asked now: it has failed too often just before, or too many wait for it here already."""
