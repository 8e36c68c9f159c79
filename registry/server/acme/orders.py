"""Orders a certificate by the ``acme`` library. Only this module needs the extra ``acme``."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from acme import challenges, client, crypto_util, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from josepy.jwa import ES256
from josepy.jwk import JWKEC
from requests import RequestException

from registry import __version__
from registry.foundation.extras import DISTRIBUTION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from requests import Response

    from registry.config.values import LetsEncrypt
    from registry.server.acme.store import Store

_LETS_ENCRYPT: Final = "https://acme-v02.api.letsencrypt.org/directory"
_ORDER_SECONDS: Final = 300
_MOST_NONCES: Final = 5
"""How often a request is made whose nonces are refused; each time the library tries two of them."""


class OrderError(Exception):
    """The ACME server has issued no certificate; the text says why, in one line."""


def order(section: LetsEncrypt, store: Store) -> bytes:
    """Get a certificate for all hosts of `section`; return it with its key and chain, in PEM.

    Raises:
        OrderError: the ACME server issues none.
    """
    key = _new_key()
    try:
        server = _server(section, store)
        ordered = server.new_order(crypto_util.make_csr(key, list(section.hosts)))
        with ExitStack() as answering:
            for authorization in ordered.authorizations:
                if authorization.body.status == messages.STATUS_PENDING:
                    challenge = _http_01(authorization)
                    response, validation = challenge.response_and_validation(server.net.key)
                    token = challenge.chall.encode("token")
                    answering.enter_context(store.answering(token, validation.encode()))
                    server.answer_challenge(challenge, response)
            finished = server.poll_and_finalize(ordered, _deadline())
    except errors.ValidationError as error:
        raise OrderError("; ".join(_reasons(error))) from error
    except (errors.Error, messages.Error, RequestException, OSError) as error:
        raise OrderError(" ".join(f"{type(error).__name__}: {error}".split())) from error
    return key + finished.fullchain_pem.encode()


def placeholder(hosts: Sequence[str]) -> bytes:
    """Return a self-signed certificate to serve until there is a real one; with its key, in PEM."""
    pem = _new_key()
    key = load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101  for the type
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "no certificate yet")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return pem + certificate.public_bytes(Encoding.PEM)


def due(pem: bytes, hosts: Sequence[str]) -> datetime:
    """Return when a certificate should be renewed: with a third of its life left, or at once for other hosts."""
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if set(names.get_values_for_type(x509.DNSName)) != {host.lower() for host in hosts}:
        return certificate.not_valid_before_utc
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - life / 3


def _server(section: LetsEncrypt, store: Store) -> client.ClientV2:
    """Return the ACME server, with the account that the store has a key of, or a new one."""
    pem = store.account_key()
    if pem is None:
        pem = _new_key()
        store.write_account_key(pem)
    net = _Network(
        JWKEC(key=load_pem_private_key(pem, None)),
        alg=ES256,
        user_agent=f"{DISTRIBUTION}/{__version__}",
    )
    directory = client.ClientV2.get_directory(section.directoryurl or _LETS_ENCRYPT, net)
    server = client.ClientV2(directory, net)
    contact: dict[str, Any] = {"email": section.email} if section.email else {}
    registration = messages.NewRegistration.from_data(terms_of_service_agreed=True, **contact)
    try:
        server.new_account(registration)
    except errors.ConflictError as conflict:
        # The account is there already; the server is asked by its address from now on.
        resource = messages.RegistrationResource(uri=conflict.location, body=messages.Registration())
        net.account = server.query_registration(resource)
    return server


class _Network(client.ClientNetwork):
    """Makes a request again, with a new nonce, if the server refused its nonce, as RFC 8555 section 6.5 says.

    The library does so once. If that nonce is refused too, which happens with servers of several machines, the order
    fails, and the next one is made a quarter of an hour later.
    """

    def post(self, *args: Any, **kwargs: Any) -> Response:
        for _ in range(_MOST_NONCES - 1):
            try:
                return super().post(*args, **kwargs)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return super().post(*args, **kwargs)


def _http_01(authorization: Any) -> Any:
    for body in authorization.body.challenges:
        if isinstance(body.chall, challenges.HTTP01):
            return body
    raise OrderError(f"{authorization.body.identifier.value} cannot be proved by http-01")


def _reasons(error: errors.ValidationError) -> list[str]:
    return [
        f"{authorization.body.identifier.value}: {body.error.detail}"
        for authorization in error.failed_authzrs
        for body in authorization.body.challenges
        if body.error is not None
    ]


def _deadline() -> datetime:
    # Naive and local, as the library compares it.
    return datetime.now() + timedelta(seconds=_ORDER_SECONDS)  # noqa: DTZ005


def _new_key() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
