"""What any client meets first: the certificate, the headers, the demand for credentials, the clock."""

from __future__ import annotations

import socket
import ssl
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from registry.doctor.client import OK, UNAUTHORIZED, UnreachableError, explained
from registry.doctor.findings import odd, skipped, well, wrong
from registry.foundation.challenges import parse_challenge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.doctor.client import Deployment, Reply
    from registry.doctor.findings import Finding

REPOSITORY: Final = "registry-doctor/probe"
SCOPE: Final = f"repository:{REPOSITORY}:pull,push,delete"
VERSION_HEADER: Final = "Docker-Distribution-Api-Version"
_VERSION: Final = "registry/2.0"
_LOCAL: Final = {"localhost", "127.0.0.1", "::1"}
_TIMEOUT_SECONDS: Final = 10
_DAY_SECONDS: Final = 24 * 3600
_EXPIRY_DAYS: Final = 21
_SKEW_SECONDS: Final = 30
_UNCHANGED: Final = "let the proxy pass the registry's own answers and headers through, also those of errors"


def tls(deployment: Deployment) -> Iterator[Finding]:
    """Look at the certificate, as a client that trusts the system's authorities does."""
    parts = urlsplit(deployment.url)
    host = parts.hostname or ""
    if parts.scheme != "https":
        if host in _LOCAL:
            yield well("tls", "plain HTTP, which clients accept from this host")
        else:
            yield odd("tls", "plain HTTP", "clients refuse it unless told otherwise; serve HTTPS, here or in a proxy")
        return
    try:
        with (
            socket.create_connection((host, parts.port or 443), _TIMEOUT_SECONDS) as connection,
            ssl.create_default_context().wrap_socket(connection, server_hostname=host) as secured,
        ):
            certificate, version = secured.getpeercert() or {}, secured.version()
    except OSError as error:
        yield wrong("tls", explained(error), "serve the whole chain of a certificate for this name that clients trust")
        return
    days = (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) / _DAY_SECONDS
    found = f"{version}, the certificate is valid for {days:.0f} more days"
    yield well("tls", found) if days > _EXPIRY_DAYS else odd("tls", found, "renew it, and see why that was not done")


def version(reply: Reply) -> Iterator[Finding]:
    """Look at the answer to ``GET /v2/``."""
    if reply.status not in {OK, UNAUTHORIZED}:
        advice = "send /v2/ to the registry as it is, with its prefix if it has one"
        yield wrong("api", f"GET /v2/ answers {reply.status}, not 200 or 401", advice)
        return
    yield well("api", f"GET /v2/ answers {reply.status}")
    yield _version_header(f"header on {reply.status}", reply)


def clock(reply: Reply) -> Iterator[Finding]:
    """Compare the clocks: tokens and signed URLs depend on them."""
    try:
        skew = parsedate_to_datetime(reply.header("Date")).timestamp() - reply.moment
    except ValueError:
        yield skipped("clock", "the answer has no Date header")
        return
    found = f"{abs(skew):.0f} s apart from this machine's"
    advice = "let both keep time by NTP; tokens and signed URLs are refused before and after their time"
    yield well("clock", found) if abs(skew) <= _SKEW_SECONDS else odd("clock", found, advice)


def access(deployment: Deployment, reply: Reply) -> Iterator[Finding]:
    """Look at how credentials are demanded, and whether those that were given are accepted."""
    if reply.status != UNAUTHORIZED:
        yield odd(
            "access", "no credentials are demanded: everybody may do everything", "set auth, if that is not meant"
        )
        return
    challenge = reply.header("WWW-Authenticate")
    scheme, parameters = parse_challenge(challenge)
    if scheme not in {"basic", "bearer"}:
        yield wrong("access", "401 without a WWW-Authenticate that clients know", _UNCHANGED)
        return
    realm = parameters.get("realm", "")
    if scheme == "bearer" and deployment.url.startswith("https:") and realm.startswith("http:"):
        yield wrong("access", f"the token service {realm} is not HTTPS", "set its realm to the public URL")
        return
    yield well("access", f"401 demands {scheme} credentials" + (f" from {realm}" if scheme == "bearer" else ""))
    if deployment.credentials is None:
        yield skipped("login", "no credentials given", "--user")
        return
    try:
        again = deployment.let_in(challenge, SCOPE).ask("GET", "/v2/")
    except UnreachableError as error:
        yield wrong("login", str(error), "the token service must be reachable from where clients are")
        return
    user = deployment.credentials.user
    if again.status == OK:
        yield well("login", f"{user} is let in")
    else:
        yield wrong(
            "login",
            f"{user} is not let in: {again.status}",
            "check the password, and that the proxy passes Authorization",
        )


def missing(deployment: Deployment) -> Iterator[Finding]:
    """Look at what a 404 looks like from here: clients read its JSON."""
    reply = deployment.ask("GET", f"/v2/{REPOSITORY}/manifests/none")
    if reply.status == UNAUTHORIZED:
        yield skipped("errors", "may not look for a manifest", "--user")
    elif reply.status != 404 or not reply.error_code():  # noqa: PLR2004
        kind = "JSON" if reply.error_code() else "no JSON error"
        yield wrong("errors", f"a manifest that is not there gives {reply.status} with {kind}", _UNCHANGED)
    else:
        yield well("errors", f"a manifest that is not there is 404 {reply.error_code()}")
        yield _version_header("header on 404", reply)


def _version_header(check: str, reply: Reply) -> Finding:
    if reply.header(VERSION_HEADER) == _VERSION:
        return well(check, f"{VERSION_HEADER}: {_VERSION}")
    return odd(check, f"no {VERSION_HEADER}", f"old clients look for it: {_UNCHANGED}")
