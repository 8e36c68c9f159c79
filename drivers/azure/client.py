"""The SDK's client as the configuration describes it, and its errors turned into those of the contract."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import requests
import requests.adapters
import urllib3.exceptions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import ClientSecretCredential, DefaultAzureCredential
from azure.storage.blob import BlobServiceClient

from drivers.azure.parameters import CLIENT_SECRET, SAS, SHARED_KEY, AzureParameters
from drivers.base import PIECE_SIZE, DriverError, NotPermittedError, PathNotFoundError, UnavailableError
from drivers.translation import CHECK_RIGHTS, Translation, foreign, one_line
from registry.foundation.errors import ParameterError
from registry.foundation.extras import DISTRIBUTION

_CONNECTIONS: Final = 100
_DOWNLOAD_SIZE: Final = 4 * PIECE_SIZE
"""Bytes that one request of a download fetches; the SDK holds two such pieces."""


class ConflictError(DriverError):
    """The blob does not have the version that was asked for."""


_WORDS: dict[int, type[DriverError]] = {
    HTTPStatus.UNAUTHORIZED: NotPermittedError,
    HTTPStatus.FORBIDDEN: NotPermittedError,
    HTTPStatus.NOT_FOUND: PathNotFoundError,
    HTTPStatus.REQUEST_TIMEOUT: UnavailableError,
    HTTPStatus.PRECONDITION_FAILED: ConflictError,
    HTTPStatus.TOO_MANY_REQUESTS: UnavailableError,
}
_UNREACHABLE = (ServiceRequestError, ServiceResponseError, IncompleteReadError)
_TELLING = (urllib3.exceptions.HTTPError, OSError)


class Translated(Translation):
    """A block whose errors are raised as the contract's, naming the call and the blob."""

    __slots__ = ()
    driver = "azure"
    # Not all are the SDK's own: connections break in the middle of an answer, or the answer is not the service's.
    failures = (Exception,)
    advice = CHECK_RIGHTS

    @staticmethod
    def word(error: Exception) -> type[DriverError]:
        if isinstance(error, _UNREACHABLE) or not isinstance(error, AzureError):
            return UnavailableError
        status = status_of(error)
        if status is None:
            # Without a status there was no answer, or it broke off, or no credentials could be fetched.
            return UnavailableError if isinstance(error, HttpResponseError) else DriverError
        if status < HTTPStatus.BAD_REQUEST or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return UnavailableError
        return _WORDS.get(status, DriverError)

    @staticmethod
    def text(error: Exception) -> str:
        """Return the first line of the service's message and its code; the other lines are ids and times."""
        if not isinstance(error, AzureError):
            return one_line(error) if isinstance(error, _TELLING) else foreign(error)
        text = str(error.message or error).strip().partition("\n")[0]
        code = code_of(error)
        return f"{text} ({code})" if code else text


def connect(parameters: AzureParameters) -> BlobServiceClient:
    """Return the client; nothing is sent yet.

    Raises:
        ParameterError: the SDK does not take the tenant or the client of a login.
    """
    return BlobServiceClient(
        parameters.serviceurl,
        credential=_credential(parameters),
        transport=_transport(parameters),
        retry_total=parameters.max_retries,
        max_single_get_size=_DOWNLOAD_SIZE,
        max_chunk_get_size=_DOWNLOAD_SIZE,
        user_agent=DISTRIBUTION,
    )


def _transport(parameters: AzureParameters) -> RequestsTransport:
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=_CONNECTIONS))
    return RequestsTransport(
        session=session,
        session_owner=False,
        connection_verify=parameters.verify,
        connection_timeout=10,
        read_timeout=60,
        connection_data_block_size=PIECE_SIZE,
    )


def _credential(parameters: AzureParameters) -> Any:
    if parameters.type == SHARED_KEY:
        return {"account_name": parameters.accountname, "account_key": parameters.accountkey}
    if parameters.type == SAS:
        return parameters.sastoken
    if parameters.type == CLIENT_SECRET:
        try:
            return ClientSecretCredential(
                parameters.tenantid,
                parameters.clientid,
                parameters.secret,
                connection_verify=parameters.verify,
            )
        except ValueError as error:
            raise ParameterError(f"credentials.tenantid: {one_line(error)}") from error
    return DefaultAzureCredential()


def status_of(error: BaseException | None) -> int | None:
    """Return the status of the service's answer that led to `error`, or None if there was none."""
    return error.status_code if isinstance(error, HttpResponseError) else None


def code_of(error: AzureError) -> str:
    """Return the service's code for `error`, or "" if it gave none."""
    code = getattr(error, "error_code", None) or ""
    return str(getattr(code, "value", code))
