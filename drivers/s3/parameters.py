"""The parameters of the Go registry's S3 driver, checked and turned into a client."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, InvalidRegionError
from botocore.httpsession import get_cert_path
from botocore.utils import parse_timestamp

from drivers.calls.waits import Limits
from drivers.translation import one_line
from registry.foundation import parameters
from registry.foundation.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB: Final = 1024 * 1024
SMALLEST_PART: Final = 5 * MIB
LARGEST_PART: Final = 5 * 1024 * MIB

_DEFAULT_PART: Final = 32 * MIB
_DEFAULT_COPIES: Final = 100
_MOST_COPIES: Final = 1000
_ATTEMPTS: Final = 5
_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 60
_PART_CONNECTIONS: Final = 64
_REGION_ELSEWHERE: Final = "us-east-1"
"""What stores of others are told; most have no regions."""

_STORAGE_CLASSES: Final = (
    "NONE",
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "OUTPOSTS",
    "GLACIER_IR",
    "EXPRESS_ONEZONE",
)
_MINIMUM_STAY: Final = frozenset({"STANDARD_IA", "ONEZONE_IA", "GLACIER_IR"})
"""Classes that bill an object for a month or more: nothing for what lives until the end of an upload."""

_BUCKET: Final = re.compile(r"arn:\S+|[A-Za-z0-9._-]{1,255}")
"""What the SDK takes for a bucket: a name, or the ARN of an access point."""

_ACLS: Final = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
)
_HEADERS: Final = {
    "ContentType": "Content-Type",
    "ServerSideEncryption": "x-amz-server-side-encryption",
    "SSEKMSKeyId": "x-amz-server-side-encryption-aws-kms-key-id",
    "StorageClass": "x-amz-storage-class",
    "ACL": "x-amz-acl",
}
"""How a request says what the SDK calls so."""

_LOG_LEVELS: Final = (
    "off",
    "debug",
    "debugwithsigning",
    "debugwithhttpbody",
    "debugwithrequestretries",
    "debugwithrequesterrors",
    "debugwitheventstreambody",
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the ``s3`` section says. `root` is a key prefix without slashes at its ends; "" for none."""

    bucket: str
    root: str = ""
    region: str = ""
    endpoint: str = ""
    redirect_endpoint: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    path_style: bool | None = None
    secure: bool = True
    verify: bool = True
    v4_signatures: bool = True
    accelerate: bool = False
    dual_stack: bool = False
    fips: bool = False
    user_agent: str = ""
    part_size: int = _DEFAULT_PART
    copies_at_once: int = _DEFAULT_COPIES
    log_calls: bool = False
    encrypt: bool = False
    key_id: str = ""
    storage_class: str = "STANDARD"
    acl: str = "private"
    limits: Limits = field(default_factory=Limits)

    @property
    def final_options(self) -> Mapping[str, str]:
        """What the SDK says of an object that it writes to stay."""
        options = {"ContentType": "application/octet-stream"}
        if self.encrypt:
            options["ServerSideEncryption"] = "aws:kms" if self.key_id else "AES256"
        if self.key_id:
            options["SSEKMSKeyId"] = self.key_id
            options.setdefault("ServerSideEncryption", "aws:kms")
        if self.storage_class not in {"NONE", "STANDARD"}:
            options["StorageClass"] = self.storage_class
        if self.acl != "private":
            options["ACL"] = self.acl  # private is the default, and some vendors know no ACLs at all
        return options

    @property
    def staged_options(self) -> Mapping[str, str]:
        """What the SDK says of an object of an upload that it writes."""
        options = dict(self.final_options)
        options.pop("ACL", None)
        if options.get("StorageClass") in _MINIMUM_STAY:
            del options["StorageClass"]
        return options

    def session(self) -> Any:
        """Return a session of the SDK, which knows its files and its variables.

        One of its own: the default one is shared by threads that may be making clients just now.
        """
        session = botocore.session.get_session()
        session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=parse_time)
        session.set_config_variable("region", self._region)  # roles are asked for there, too
        return session

    def credentials(self, session: Any) -> Any:
        """Return the credentials that are configured, or those that the SDK finds; None if there are none.

        Raises:
            botocore.exceptions.BotoCoreError: its configuration cannot be used, or who gives them does not answer.
        """
        if self.access_key:
            return Credentials(self.access_key, self.secret_key, self.session_token or None)
        return session.get_credentials()

    def authorities(self, session: Any) -> str:
        """Return the file of the authorities that the SDK trusts, "" if any certificate will do.

        Raises:
            botocore.exceptions.BotoCoreError: the SDK's configuration cannot be used.
        """
        named = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or True
        return str(get_cert_path(named)) if self.verify else ""

    def client(self, endpoint: str = "", session: Any = None) -> Any:
        """Return a client of the bucket's endpoint, or of another `endpoint`; nothing is sent yet.

        Raises:
            ParameterError: the SDK does not take the region or the endpoint, or what it looks up by itself.
        """
        try:
            return self._client(endpoint or self.endpoint, session or self.session())
        except InvalidRegionError as error:
            reason = f"must be the name of a region, of letters, digits and hyphens, not {self.region!r}"
            raise ParameterError(f"region: {reason}") from error
        except ValueError as error:
            name = "redirectendpoint" if endpoint else "regionendpoint"
            reason = f"{endpoint or self.endpoint!r} is not taken by the SDK"
            raise ParameterError(f"{name}: {reason}: a host has letters, digits, hyphens and dots") from error
        except BotoCoreError as error:
            raise unusable(error) from error

    def _client(self, endpoint: str, session: Any) -> Any:
        return session.create_client(
            "s3",
            region_name=self._region,
            endpoint_url=endpoint or None,
            aws_access_key_id=self.access_key or None,
            aws_secret_access_key=self.secret_key or None,
            aws_session_token=self.session_token or None,
            use_ssl=self.secure,
            verify=None if self.verify else False,
            config=self._config(),
        )

    def _config(self) -> Config:
        return Config(
            signature_version="s3v4" if self.v4_signatures else "s3",
            s3={
                "addressing_style": self._addressing_style(),
                "use_accelerate_endpoint": self.accelerate,
            },
            use_dualstack_endpoint=self.dual_stack or None,
            use_fips_endpoint=self.fips or None,
            user_agent_extra=self.user_agent or None,
            # Exponential backoff with jitter; throttling and 5xx are retried, refusals are not.
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=max(self.limits.seconds, _READ_SECONDS),
            max_pool_connections=self.copies_at_once + _PART_CONNECTIONS,
            # Checksums in trailers are Amazon's alone; the signature covers every body anyway.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )

    @property
    def _region(self) -> str:
        return self.region or _REGION_ELSEWHERE

    def _addressing_style(self) -> str:
        # Stores of others all know paths, and few have a name in the DNS for each bucket: registry:2 always used
        # paths there, registry:3 only when told to.
        foreign = bool(self.endpoint) and "amazonaws.com" not in self.endpoint
        if foreign if self.path_style is None else self.path_style:
            return "path"
        # Left to itself the SDK signs URLs for a global name, from which Amazon redirects to the region, which
        # the signature does not survive. A certificate does not cover names with dots.
        return "auto" if "." in self.bucket else "virtual"


def unusable(error: BotoCoreError) -> ParameterError:
    """Return the error that says what is wrong with the SDK's own files and variables."""
    return ParameterError(f"region: the SDK's own configuration cannot be used: {one_line(error)}")


def headers_of(options: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that say what the SDK is told by `options`."""
    return {_HEADERS[name]: value for name, value in options.items()}


def parse_time(text: str) -> datetime:
    """Return the time that `text` in an answer says, as the SDK does.

    That takes most of its time for a listing to understand the times in it, which are all of one form.
    """
    if text.endswith("Z"):
        with suppress(ValueError):
            return datetime.fromisoformat(text)
    found: datetime = parse_timestamp(text)
    return found


def parse(values: Mapping[str, object]) -> Parameters:
    """Return the values of a section ``storage.s3``.

    Raises:
        ParameterError: one is missing or wrong.
    """
    section = parameters.Parameters(values)
    secure = section.truth("secure", default=True)
    found = Parameters(
        bucket=section.text("bucket"),
        root=section.text("rootdirectory").strip("/"),
        region=section.text("region"),
        endpoint=section.url("regionendpoint", "https" if secure else "http"),
        redirect_endpoint=section.origin("redirectendpoint"),
        access_key=section.text("accesskey"),
        secret_key=section.text("secretkey"),
        session_token=section.text("sessiontoken"),
        path_style=section.optional_truth("forcepathstyle"),
        secure=secure,
        verify=not section.truth("skipverify", default=False),
        v4_signatures=section.truth("v4auth", default=True),
        accelerate=section.truth("accelerate", default=False),
        dual_stack=section.truth("usedualstack", default=False),
        fips=section.truth("usefipsendpoint", default=False),
        user_agent=section.text("useragent"),
        part_size=section.whole("chunksize", _DEFAULT_PART, minimum=SMALLEST_PART, maximum=LARGEST_PART),
        copies_at_once=min(section.whole("multipartcopymaxconcurrency", _DEFAULT_COPIES, minimum=1), _MOST_COPIES),
        log_calls=section.choice("loglevel", "off", _LOG_LEVELS) != "off",
        encrypt=section.truth("encrypt", default=False),
        key_id=section.text("keyid"),
        storage_class=section.choice("storageclass", "STANDARD", _STORAGE_CLASSES),
        acl=section.choice("objectacl", "private", _ACLS),
        limits=Limits.parse(section),
    )
    # What is copied inside the store are an upload's parts, so these two say nothing here; they are checked.
    section.whole("multipartcopychunksize", _DEFAULT_PART, minimum=SMALLEST_PART, maximum=LARGEST_PART)
    section.whole("multipartcopythresholdsize", _DEFAULT_PART, minimum=0, maximum=LARGEST_PART)
    _check(found)
    return found


def _check(found: Parameters) -> None:
    if not found.bucket:
        raise ParameterError("bucket: is required, the name of an existing bucket")
    if not _BUCKET.fullmatch(found.bucket):
        raise ParameterError(f"bucket: must be the name of a bucket, not {found.bucket!r}")
    if not found.region and not found.endpoint:
        raise ParameterError("region: is required, unless regionendpoint names a store that is not Amazon's")
    if bool(found.access_key) != bool(found.secret_key):
        raise ParameterError("accesskey, secretkey: give both, or neither for the SDK's own search for credentials")
    if not found.v4_signatures and (not found.endpoint or "amazonaws.com" in found.endpoint):
        raise ParameterError("v4auth: false is only for stores of others; Amazon S3 knows version 4 alone")
