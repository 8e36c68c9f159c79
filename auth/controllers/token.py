"""A caller with a token of a trusted issuer may do what the token says (``auth: token``)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urlsplit

from auth.base import Access, AccessController, Grant, Request, UnauthorizedError
from auth.headers import bearer_challenge, bearer_token, merged_scope
from auth.tokens.access_claim import covers, granted_accesses
from auth.tokens.chains import parse_bundle
from auth.tokens.jws import Expectations, TokenRefusedError, TokenVerifier, facts
from auth.tokens.keysets import FileKeys, KeySource, RemoteKeys
from auth.tokens.trusted import ALGORITHMS, keys_of_certificates, parse_jwks
from registry.foundation.files import FileError, WatchedFile
from registry.foundation.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cryptography import x509

logger = logging.getLogger(__name__)

T = TypeVar("T")

_SHOWN_KEYS = 12


class TokenController(AccessController):
    """Accepts the tokens of an external token service (distribution's token authentication specification)."""

    name = "token"
    no_pages = (
        "with auth: token only the token service knows who may do what, and browsers bring no tokens; "
        "use local or htpasswd, or switch ui off"
    )

    def __init__(self, verifier: TokenVerifier, realm: Callable[[Request], str]) -> None:
        self._verifier = verifier
        self._realm = realm

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        section = Parameters(parameters)
        expected = Expectations(
            issuer=section.required_string("issuer"),
            audience=section.required_string("service"),
            algorithms=_algorithms(section),
        )
        realm = section.required_string("realm")
        automatic = section.truth("autoredirect", default=False)
        path = section.string("autoredirectpath", "/auth/token")
        keys, roots = _sources(section)

        def redirected(request: Request) -> str:
            return _own_realm(request, path)

        return cls(TokenVerifier(expected, keys, roots), redirected if automatic else lambda _: realm)

    def authorize(self, request: Request, accesses: Sequence[Access]) -> Grant:
        token = bearer_token(request.authorization)
        if token is None:
            raise self._challenge(request, accesses)
        try:
            claims = self._verifier.verify(token)
            granted = granted_accesses(claims)
        except TokenRefusedError as error:
            self._log(token, error)
            raise self._challenge(request, accesses, "invalid_token" if error.told else "") from error
        subject = claims.get("sub")
        grant = Grant(subject if isinstance(subject, str) else "")
        if not all(covers(granted, access) for access in accesses):
            raise self._challenge(request, accesses, "insufficient_scope", grant)
        return grant

    def _challenge(
        self, request: Request, accesses: Sequence[Access], error: str = "", grant: Grant | None = None
    ) -> UnauthorizedError:
        service, scope = self._verifier.expected.audience, merged_scope(accesses)
        return UnauthorizedError(bearer_challenge(self._realm(request), service, scope, error), accesses, grant)

    def _log(self, token: str, error: TokenRefusedError) -> None:
        expected, ids = self._verifier.expected, self._verifier.known_ids()
        logger.warning(
            "token refused: %s; it says %s; accepted are iss=%r aud=%r kid=%s%s",
            error,
            facts(token),
            expected.issuer,
            expected.audience,
            ids[:_SHOWN_KEYS],
            " and more" if len(ids) > _SHOWN_KEYS else "",
        )


def _algorithms(section: Parameters) -> frozenset[str]:
    wanted = section.strings("signingalgorithms") or list(ALGORITHMS)
    for algorithm in wanted:
        if algorithm not in ALGORITHMS:
            raise section.error("signingalgorithms", f"has {algorithm!r}; known are {', '.join(ALGORITHMS)}")
    return frozenset(wanted)


def _sources(section: Parameters) -> tuple[list[KeySource], Callable[[], Sequence[x509.Certificate]]]:
    bundle, jwks = section.string("rootcertbundle"), section.string("jwks")
    if not bundle and not jwks:
        raise section.error("rootcertbundle", "is missing, and so is jwks: one of them is needed")
    keys: list[KeySource] = []
    roots: Callable[[], Sequence[x509.Certificate]] = tuple
    if bundle:
        certificates = _opened(section, "rootcertbundle", WatchedFile(bundle, parse_bundle))
        keys.append(FileKeys(WatchedFile(bundle, lambda content: keys_of_certificates(parse_bundle(content)))))
        roots = certificates.last_good
    if jwks.startswith(("https://", "http://")):
        keys.append(RemoteKeys(lambda: jwks))
    elif jwks:
        keys.append(FileKeys(_opened(section, "jwks", WatchedFile(jwks, parse_jwks))))
    return keys, roots


def _opened(section: Parameters, name: str, file: WatchedFile[T]) -> WatchedFile[T]:
    try:
        file.require()
    except FileError as error:
        raise section.error(name, f"cannot be used: {error}") from error
    return file


def _own_realm(request: Request, path: str) -> str:
    # As the Go registry does, for a front end that routes `path` to a token server; on https unless it says otherwise.
    host = request.host or urlsplit(request.base_url).netloc
    return f"{request.forwarded_scheme or 'https'}://{host}{path}"
