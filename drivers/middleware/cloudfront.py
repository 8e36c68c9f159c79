"""The middleware ``cloudfront``: clients fetch content from Amazon CloudFront, by URLs that are signed for a while.

Clients in Amazon's own network may be left with the bucket's URLs, which are nearer to them and cost less.
"""

from __future__ import annotations

import base64
import json
import logging
import time
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from drivers.middleware.aws_networks import AwsNetworks
from drivers.middleware.base import Middleware
from registry.foundation.errors import ParameterError
from registry.foundation.files import read_file
from registry.foundation.parameters import Parameters
from registry.foundation.unreadable import reason_unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.base import StorageDriver

_DEFAULT_RANGES_URL: Final = "https://ip-ranges.amazonaws.com/ip-ranges.json"
_DEFAULT_DURATION: Final = 20 * 60.0
_DEFAULT_UPDATE: Final = 12 * 3600.0
_URL_SAFE: Final = str.maketrans("+=/", "-_~")
"""What CloudFront writes for three characters of base64."""

_log = logging.getLogger(__name__)


class UrlSigner:
    """Signs URLs with the `key` that CloudFront knows as `key_id`."""

    def __init__(self, key_id: str, key: RSAPrivateKey) -> None:
        self._key_id = key_id
        self._key = key

    def sign(self, url: str, expires: int) -> str:
        """Return `url` with the signature of a canned policy: it is good until `expires`, in seconds of the epoch."""
        condition = {"DateLessThan": {"AWS:EpochTime": expires}}
        policy = {"Statement": [{"Resource": url, "Condition": condition}]}
        content = json.dumps(policy, separators=(",", ":")).encode()
        signature = self._key.sign(content, PKCS1v15(), SHA1())  # noqa: S303 - CloudFront takes no other
        spelled = base64.b64encode(signature).decode("ascii").translate(_URL_SAFE)
        return f"{url}?Expires={expires}&Signature={spelled}&Key-Pair-Id={quote(self._key_id)}"


class CloudFrontMiddleware(Middleware):
    """Sends clients to `base`, which ends in a slash and serves the bucket, but those in `networks` to the bucket."""

    def __init__(
        self, inner: StorageDriver, base: str, signer: UrlSigner, seconds: float, networks: AwsNetworks | None
    ) -> None:
        super().__init__(inner)
        self._base = base
        self._signer = signer
        self._seconds = seconds
        self._networks = networks

    @classmethod
    def from_options(cls, inner: StorageDriver, options: Mapping[str, object]) -> Self:
        if inner.object_key("/docker") is None:
            _log.warning("cloudfront: the %s driver keeps nothing in a bucket of S3: without effect", inner.name)
        parameters = Parameters(options)
        parameters.required_text("baseurl")
        key_id = parameters.required_text("keypairid")
        signer = UrlSigner(key_id, _private_key(parameters.required_text("privatekey")))
        seconds = parameters.seconds("duration", _DEFAULT_DURATION, minimum=1)
        base = parameters.url("baseurl", "https") + "/"
        return cls(inner, base, signer, seconds, _networks(parameters))

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        key = self._inner.object_key(path)
        if key is None or (self._networks and self._networks.contain(client)):
            return self._inner.redirect_url(path, method=method, client=client)
        return self._signer.sign(self._base + quote(key), int(time.time() + self._seconds))


def _private_key(path: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(read_file(path), None)
    except OSError as error:
        raise ParameterError(f"privatekey: cannot read {path}: {reason_unreadable(error, path)}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it is encrypted
        raise ParameterError(f"privatekey: {path} is not an RSA key in PEM without a password") from error
    if not isinstance(key, RSAPrivateKey):
        raise ParameterError(f"privatekey: {path} is not an RSA key, which CloudFront needs")
    return key


def _networks(parameters: Parameters) -> AwsNetworks | None:
    """Return the networks whose clients are left with the bucket's URLs, or None if there are none."""
    which = parameters.choice("ipfilteredby", "none", ("none", "aws", "awsregion"))
    listed = parameters.text("awsregion").lower().split(",")
    regions = frozenset(name.strip() for name in listed if name.strip())
    # The Go registry's documentation once spelt it like this.
    seconds = parameters.seconds("updatefrenquency", _DEFAULT_UPDATE, minimum=1)
    seconds = parameters.seconds("updatefrequency", seconds, minimum=1)
    url = parameters.text("iprangesurl", _DEFAULT_RANGES_URL)
    if not url.startswith(("http://", "https://")):
        raise parameters.error("iprangesurl", f"must be the URL of a document, http(s)://..., not {url!r}")
    if which == "none":
        return None
    if which == "awsregion" and not regions:
        raise parameters.error("awsregion", "is missing: the regions, with commas between them")
    return AwsNetworks(url, seconds, regions if which == "awsregion" else frozenset())
