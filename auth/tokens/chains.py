"""Chains of certificates: the key of a leaf that a trusted root vouches for."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from auth.tokens.trusted import TrustedKey, trusted_key

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST = 10
_LONGEST_REASON = 200


def parse_bundle(content: bytes) -> list[x509.Certificate]:
    """Return the certificates of a PEM file.

    Raises:
        ValueError: there are none.
    """
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise ValueError(f"not a bundle of PEM certificates: {error}") from error


def key_of_chain(chain: object, roots: Sequence[x509.Certificate]) -> TrustedKey:
    """Return the key of the first certificate of an ``x5c`` member (RFC 7515 section 4.1.6).

    As in the Go registry, any key usage will do; validity, signatures, who is a CA and how long a chain may
    be are checked.

    Raises:
        ValueError: `chain` is malformed or does not end at one of `roots`.
    """
    leaf, *intermediates = _certificates(chain)
    if not roots:
        raise ValueError("the token brings a certificate and there is no rootcertbundle")
    verifier = (
        PolicyBuilder()
        .store(Store(list(roots)))
        .extension_policies(
            ca_policy=ExtensionPolicy.permit_all().require_present(
                x509.BasicConstraints, Criticality.AGNOSTIC, _must_be_authority
            ),
            ee_policy=ExtensionPolicy.permit_all(),
        )
        .build_client_verifier()
    )
    try:
        verifier.verify(leaf, intermediates)
    except VerificationError as error:
        raise ValueError(f"the certificate of the token is not trusted: {error}") from error
    except Exception as error:  # bytes of a stranger: see _certificates()
        raise ValueError(f"the certificate of the token cannot be verified: {_line(error)}") from error
    return trusted_key(leaf.public_key())  # type: ignore[arg-type]  # judged inside


def _must_be_authority(policy: Policy, certificate: x509.Certificate, extension: x509.BasicConstraints) -> None:
    del policy, certificate
    if not extension.ca:
        raise ValueError("not a certificate authority")


def _certificates(chain: object) -> list[x509.Certificate]:
    if not isinstance(chain, list) or not 0 < len(chain) <= _LONGEST:
        raise ValueError(f"x5c is not a list of 1 to {_LONGEST} certificates")
    try:
        return [x509.load_der_x509_certificate(base64.b64decode(item, validate=True)) for item in chain]
    # Bytes of a stranger: the library has many words for what it cannot read, such as InvalidVersion, which is not a
    # ValueError, and may get new ones.
    except Exception as error:
        raise ValueError(f"x5c does not hold certificates: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__
