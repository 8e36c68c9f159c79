"""Signatures of cosign and notation: what they claim. Nothing is verified here, which takes keys that are trusted."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from registry.foundation.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.browsing.untrusted import Node

COSIGN_CERTIFICATE: Final = "dev.sigstore.cosign/certificate"
COSIGN_SIGNATURE: Final = "dev.cosignproject.cosign/signature"
COSIGN_BUNDLE: Final = "dev.sigstore.cosign/bundle"
SIGSTORE_BUNDLE: Final = "application/vnd.dev.sigstore.bundle"
NOTATION_TYPE: Final = "application/vnd.cncf.notary.signature"
NOTATION_THUMBPRINTS: Final = "io.cncf.notary.x509chain.thumbprint#S256"
COSE: Final = "application/cose"

_ISSUERS: Final = (x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8"), x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1"))
"""Who told the authority of sigstore who signs, as DER and in its older form, as bare text."""
_UTF8_STRING: Final = b"\x0c"
_LONGEST: Final = 1000


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature that is present, and not verified. Texts are "" where nothing is claimed.

    `signer` is whom the certificate names, `issuer` who vouches for that, `signs` what is said to be signed.
    `is_logged` is whether an entry of a transparency log comes with it.
    """

    tool: str
    signer: str = ""
    issuer: str = ""
    signs: str = ""
    is_logged: bool = False


def simple_signing(document: Node, annotations: Mapping[str, str]) -> Signature | None:
    """Return what a payload of cosign says with the annotations of its layer; None if it is none."""
    if not document.at("critical").has("identity", "image"):
        return None
    signer, issuer = _certified(annotations.get(COSIGN_CERTIFICATE, "").encode(errors="replace"))
    digest = document.text("critical", "image", "docker-manifest-digest")
    reference = document.text("critical", "identity", "docker-reference")
    signs = f"{reference}@{digest}" if reference and digest and "@" not in reference else reference or digest
    return Signature("cosign", signer, issuer, signs, is_logged=COSIGN_BUNDLE in annotations)


def bundle(document: Node) -> Signature | None:
    """Return what a bundle of sigstore says; None if it is none."""
    if not document.text("mediaType").startswith(SIGSTORE_BUNDLE):
        return None
    material = document.at("verificationMaterial")
    chain = [material.at("certificate"), *material.each("x509CertificateChain", "certificates")]
    encoded = next((raw for each in chain if (raw := decoded(each.at("rawBytes")))), b"")
    signer, issuer = _certified(encoded)
    return Signature("cosign", signer, issuer, is_logged=next(material.each("tlogEntries"), None) is not None)


def notation(document: Node) -> Signature | None:
    """Return what a signature of notation says, which is a JWS; None if it is none."""
    if not (document.has("payload", "protected", "signature") and document.at("header").has("x5c")):
        return None
    signer, issuer = _certified(decoded(next(document.each("header", "x5c"), document.at("header", "x5c"))))
    return Signature(document.text("header", "io.cncf.notary.signingAgent") or "notation", signer, issuer)


def decoded(node: Node) -> bytes:
    """Return what a text spells in base64, of either alphabet; nothing if it does not."""
    if not isinstance(node.value, str):
        return b""
    try:
        content = node.value.encode("ascii").translate(_STANDARD_ALPHABET)
        return base64.b64decode(content + b"=" * (-len(content) % 4), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return b""


_STANDARD_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")


def _certified(certificate: bytes) -> tuple[str, str]:
    """Return whom a certificate names (PEM or DER) and who vouches for it; "" for what it does not say."""
    try:
        if certificate.startswith(b"-----BEGIN"):
            read = x509.load_pem_x509_certificate(certificate)
        else:
            read = x509.load_der_x509_certificate(certificate)
        signer = ", ".join(_alternative_names(read)) or read.subject.rfc4514_string()
        issuer = _told_issuer(read) or read.issuer.rfc4514_string()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension):
        return "", ""
    return printable(signer[:_LONGEST]), printable(issuer[:_LONGEST])


def _alternative_names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    emails = names.get_values_for_type(x509.RFC822Name)
    return [*emails, *names.get_values_for_type(x509.UniformResourceIdentifier)]


def _told_issuer(certificate: x509.Certificate) -> str:
    for identifier in _ISSUERS:
        try:
            value = certificate.extensions.get_extension_for_oid(identifier).value
        except x509.ExtensionNotFound:
            continue
        if isinstance(value, x509.UnrecognizedExtension):
            told = value.value
            # A DER text of less than 128 bytes has two before it: its type and its length.
            return (told[2:] if told.startswith(_UTF8_STRING) else told).decode("utf-8", "replace")
    return ""
