"""The section ``storage.azure`` of the configuration."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from drivers.calls.waits import Limits
from registry.foundation.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARED_KEY: Final = "shared_key"
CLIENT_SECRET: Final = "client_secret"  # noqa: S105 - the name of a way to log in
DEFAULT_CREDENTIALS: Final = "default_credentials"
SAS: Final = "sas"
_TYPES = (SHARED_KEY, CLIENT_SECRET, DEFAULT_CREDENTIALS, SAS)
_BY_TOKEN: Final = frozenset({CLIENT_SECRET, DEFAULT_CREDENTIALS})
_DEFAULT_REALM = "core.windows.net"
_DEFAULT_RETRIES = 5
_DEFAULT_RETRY_DELAY = 0.1
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9-]+")
_CONTAINER: Final = re.compile(r"\$(?:root|web|logs)|(?=.{3,63}$)[a-z0-9](?:-?[a-z0-9])*")


@dataclass(frozen=True, slots=True)
class AzureParameters:
    """What the section says; of the credentials only those of `type` are set."""

    accountname: str
    container: str
    serviceurl: str
    type: str
    call_seconds: float
    accountkey: str = field(default="", repr=False)
    clientid: str = ""
    tenantid: str = ""
    secret: str = field(default="", repr=False)
    sastoken: str = field(default="", repr=False)
    rootdirectory: str = ""
    redirectendpoint: str = ""
    max_retries: int = _DEFAULT_RETRIES

    retry_delay_seconds: float = _DEFAULT_RETRY_DELAY
    verify: bool = True

    @property
    def limits(self) -> Limits:
        """How often a call is tried, and within what time it ends."""
        return Limits(attempts=1 + self.max_retries, seconds=self.call_seconds)

    @classmethod
    def read(cls, values: Mapping[str, object]) -> AzureParameters:
        """Return the parameters; a section of registry:2, which knows a key alone, means that key.

        Raises:
            ParameterError: one is missing or wrong.
        """
        parameters = Parameters(values)
        account = parameters.matching("accountname", _ACCOUNT, "letters and digits")
        container = parameters.matching("container", _CONTAINER, "3 to 63 lower-case letters, digits and hyphens")
        realm = parameters.host("realm") or _DEFAULT_REALM
        kind = _credential_type(parameters)
        credentials = parameters.section("credentials")
        login = kind == CLIENT_SECRET
        serviceurl = parameters.url("serviceurl") or f"https://{account}.blob.{realm}"
        if kind in _BY_TOKEN and not serviceurl.startswith("https://"):
            reason = f"must be https with credentials.type {kind}: whoever reads the token along can use it"
            raise parameters.error("serviceurl", reason)
        parameters.text("connectionstring")  # known to the Go registry, and of no effect there
        retries = parameters.whole("max_retries", _DEFAULT_RETRIES, minimum=-1)
        return cls(
            accountname=account,
            container=container,
            serviceurl=serviceurl,
            type=kind,
            accountkey=_account_key(parameters, when=kind == SHARED_KEY),
            clientid=_used(credentials, "clientid", when=login),
            tenantid=_used(credentials, "tenantid", when=login),
            secret=_used(credentials, "secret", when=login),
            sastoken=_used(credentials, "sastoken", when=kind == SAS).lstrip("?"),
            rootdirectory=parameters.text("rootdirectory"),
            redirectendpoint=parameters.origin("redirectendpoint"),
            # There, -1 takes a copy that has not ended for one that has, and loses the blob.
            max_retries=_DEFAULT_RETRIES if retries < 0 else retries,
            call_seconds=Limits.parse(parameters).seconds,
            retry_delay_seconds=parameters.seconds("retry_delay", _DEFAULT_RETRY_DELAY),
            verify=not parameters.truth("skipverify", default=False),
        )


def _credential_type(parameters: Parameters) -> str:
    kind = parameters.section("credentials").text("type")
    if not kind and parameters.text("accountkey"):
        return SHARED_KEY
    if kind not in _TYPES:
        raise parameters.error("credentials.type", f"must be one of {', '.join(_TYPES)}, not {kind!r}")
    return kind


def _account_key(parameters: Parameters, *, when: bool) -> str:
    text = _used(parameters, "accountkey", when=when)
    try:
        base64.b64decode(re.sub("[\r\n]", "", text), validate=True)
    except (binascii.Error, ValueError) as error:  # the latter if it is not ASCII
        reason = f"must be a key of the account in base64, as the portal shows it: {error}"
        raise parameters.error("accountkey", reason) from error
    return text


def _used(section: Parameters, name: str, *, when: bool) -> str:
    """Return a value that must be there when it is used, and "" when it is not."""
    text = section.text(name)
    return (text or section.required_text(name)) if when else ""
