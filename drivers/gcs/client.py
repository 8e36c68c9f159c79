"""The SDK's client as the configuration describes it, and the URLs that its credentials can sign."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import google.auth.credentials
import google.auth.exceptions
import google.auth.transport.requests
import requests.adapters
from google.api_core.client_info import ClientInfo
from google.cloud import storage

from drivers.translation import one_line
from registry.foundation.errors import ParameterError
from registry.foundation.extras import DISTRIBUTION

if TYPE_CHECKING:
    from drivers.gcs.parameters import GcsParameters

URL_LIFETIME: Final = timedelta(minutes=20)

_log = logging.getLogger(__name__)


def connect(parameters: GcsParameters) -> storage.Client:
    """Return the client; nothing is sent yet.

    Raises:
        ParameterError: the credentials cannot be used, or there are none.
    """
    arguments: dict[str, Any] = {
        "project": None,
        "client_options": {"api_endpoint": parameters.endpoint} if parameters.endpoint else None,
        "client_info": ClientInfo(user_agent=parameters.useragent or DISTRIBUTION),  # type: ignore[no-untyped-call]
        # An endpoint without credentials is that of an emulator.
        "use_auth_w_custom_endpoint": bool(parameters.account),
    }
    try:
        if parameters.account:
            client = storage.Client.from_service_account_info(parameters.account, **arguments)
        else:
            client = storage.Client(**arguments)
    except (google.auth.exceptions.GoogleAuthError, ValueError) as error:
        where = parameters.account_origin or "keyfile: is not given, and there are no default credentials"
        what = ": is not a service account" if parameters.account_origin else ""
        raise ParameterError(f"{where}{what}: {one_line(error)}") from error
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=2 * parameters.maxconcurrency)
    for scheme in ("https://", "http://"):
        client._http.mount(scheme, adapter)  # noqa: SLF001 - as the SDK's documentation recommends
    # For attributes of traces of its own, the SDK would ask for the bucket in a thread, and after each failure again.
    client._bucket_metadata_cache = None  # noqa: SLF001  the SDK looks whether there is one
    return client


def signed_url(client: storage.Client, blob: storage.Blob, method: str, endpoint: str) -> str | None:
    """Return a URL at `endpoint` with which anyone can fetch the object, or None if these credentials cannot sign."""
    try:
        signer = _signer(client)
        if signer is None:
            return None
        url: str = blob.generate_signed_url(
            version="v4",
            expiration=URL_LIFETIME,
            method=method,
            api_access_endpoint=endpoint,
            **signer,
        )
    except (google.auth.exceptions.GoogleAuthError, OSError) as error:
        _log.warning("gcs: sign a URL of %s: %s; the content is streamed", blob.name, one_line(error))
        return None
    return url


def _signer(client: storage.Client) -> dict[str, Any] | None:
    """Return the arguments for signing a URL, by our own key or by the service that has it; None if neither can."""
    credentials: Any = client._credentials  # noqa: SLF001 - there is no public way to get them
    if isinstance(credentials, google.auth.credentials.Signing):
        return {}
    if not hasattr(credentials, "service_account_email"):
        return None
    if not credentials.valid:
        credentials.refresh(google.auth.transport.requests.Request())
    return {"service_account_email": credentials.service_account_email, "access_token": credentials.token}
