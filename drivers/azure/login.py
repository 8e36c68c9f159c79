"""Tokens of identities, from azure.identity: only who logs in by one needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from azure.core.exceptions import AzureError, HttpResponseError
from azure.identity import ClientSecretCredential, DefaultAzureCredential

from drivers.azure.authorization import Token
from drivers.azure.errors import LoginError
from drivers.azure.parameters import CLIENT_SECRET
from drivers.translation import one_line
from registry.foundation.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.azure.parameters import AzureParameters

_SCOPE: Final = "https://storage.azure.com/.default"
_MARGIN_SECONDS: Final = 300
"""How long before its end a token is fetched anew, if its issuer does not say."""
_RETRIES: Final = 2
_WAIT_SECONDS: Final = 10
"""The longest wait for the login service, with each of its attempts."""


def tokens(parameters: AzureParameters) -> Callable[[str], Token]:
    """Return what fetches a token for the storage, of a tenant or, where "" is given, of the identity's own.

    Raises:
        ParameterError: tenant or client cannot be such.
    """
    credential = _credential(parameters)

    def fetch(tenant: str) -> Token:
        try:
            found = credential.get_token_info(_SCOPE, options={"tenant_id": tenant} if tenant else {})
        except (AzureError, OSError, ValueError) as error:
            status = error.status_code if isinstance(error, HttpResponseError) else None
            first = str(error).strip().partition("\n")[0]  # the other lines say how the SDK has looked for it
            raise LoginError(f"no token of the identity: {one_line(first)}", status) from error
        return Token(found.token, found.expires_on, found.refresh_on or found.expires_on - _MARGIN_SECONDS)

    return fetch


def _credential(parameters: AzureParameters) -> Any:
    if parameters.type != CLIENT_SECRET:
        return DefaultAzureCredential()
    try:
        return ClientSecretCredential(
            parameters.tenantid,
            parameters.clientid,
            parameters.secret,
            connection_verify=parameters.verify,
            connection_timeout=_WAIT_SECONDS,
            read_timeout=_WAIT_SECONDS,
            retry_total=_RETRIES,
        )
    except ValueError as error:
        raise ParameterError(f"credentials.tenantid: {one_line(error)}") from error
