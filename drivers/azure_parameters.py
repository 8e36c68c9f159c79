"""The section ``storage.azure`` of the configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from drivers.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARED_KEY: Final = "shared_key"
CLIENT_SECRET: Final = "client_secret"  # noqa: S105 - the name of a way to log in
DEFAULT_CREDENTIALS: Final = "default_credentials"
SAS: Final = "sas"
_TYPES = (SHARED_KEY, CLIENT_SECRET, DEFAULT_CREDENTIALS, SAS)
_KNOWN = (
    "accountname",
    "accountkey",
    "container",
    "connectionstring",
    "realm",
    "serviceurl",
    "rootdirectory",
    "credentials",
    "max_retries",
    "retry_delay",
    "skipverify",
)
_KNOWN_CREDENTIALS = ("type", "clientid", "tenantid", "secret", "sastoken")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")
_UNITS = {"ms": 0.001, "s": 1, "m": 60}
_DEFAULT_REALM = "core.windows.net"
_DEFAULT_RETRIES = 5


@dataclass(frozen=True, slots=True)
class AzureParameters:
    """What the section says; of the credentials only those of `type` are set."""

    accountname: str
    container: str
    serviceurl: str
    type: str
    accountkey: str = field(default="", repr=False)
    clientid: str = ""
    tenantid: str = ""
    secret: str = field(default="", repr=False)
    sastoken: str = field(default="", repr=False)
    rootdirectory: str = ""
    max_retries: int = _DEFAULT_RETRIES
    retry_delay_seconds: float = 0.1
    verify: bool = True

    @classmethod
    def read(cls, values: Mapping[str, object]) -> AzureParameters:
        """Return the parameters; a section of registry:2, which knows a key alone, means that key.

        Raises:
            ParameterError: one is missing or wrong.
        """
        parameters = Parameters(values)
        parameters.warn_of_others("storage.azure", _KNOWN)
        account = parameters.required_text("accountname")
        realm = parameters.text("realm", _DEFAULT_REALM)
        kind = _credential_type(parameters)
        credentials = parameters.section("credentials")
        credentials.warn_of_others("storage.azure", _KNOWN_CREDENTIALS)
        login = kind == CLIENT_SECRET
        retries = parameters.whole("max_retries", _DEFAULT_RETRIES, minimum=-1)
        return cls(
            accountname=account,
            container=parameters.required_text("container"),
            serviceurl=parameters.text("serviceurl").rstrip("/") or f"https://{account}.blob.{realm}",
            type=kind,
            accountkey=parameters.required_text("accountkey") if kind == SHARED_KEY else "",
            clientid=credentials.required_text("clientid") if login else "",
            tenantid=credentials.required_text("tenantid") if login else "",
            secret=credentials.required_text("secret") if login else "",
            sastoken=credentials.required_text("sastoken").lstrip("?") if kind == SAS else "",
            rootdirectory=parameters.text("rootdirectory"),
            # There, -1 takes a copy that has not ended for one that has, and loses the blob.
            max_retries=_DEFAULT_RETRIES if retries < 0 else retries,
            retry_delay_seconds=_seconds(parameters, "retry_delay", "100ms"),
            verify=not parameters.truth("skipverify", default=False),
        )


def _credential_type(parameters: Parameters) -> str:
    kind = parameters.section("credentials").text("type")
    if not kind and parameters.text("accountkey"):
        return SHARED_KEY
    if kind not in _TYPES:
        raise parameters.error("credentials.type", f"must be one of {', '.join(_TYPES)}, not {kind!r}")
    return kind


def _seconds(parameters: Parameters, name: str, default: str) -> float:
    text = parameters.text(name, default)
    found = _DURATION.fullmatch(text)
    if not found:
        raise parameters.error(name, f"must be a duration like 100ms or 2s, not {text!r}")
    return float(found[1]) * _UNITS[found[2]]
