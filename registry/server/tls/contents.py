"""What is wrong with a file of a certificate or a key that OpenSSL has refused: it says little of that itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

_LABEL: Final = re.compile(rb"^-----BEGIN ([A-Z0-9 ]+)-----", re.MULTILINE)
_SEQUENCE: Final = 0x30
_PKCS12: Final = re.compile(rb"\x30(?:[\x00-\x7f]|\x80|\x81.|\x82..|\x83...|\x84....)\x02\x01\x03", re.DOTALL)
"""A sequence that begins with the version 3 (RFC 7292 section 4); a certificate or a key begins otherwise."""
_A_KEY: Final = "a private key"
_A_CERTIFICATE: Final = "a certificate"
_NOT_A_CERTIFICATE: Final = f"{_A_KEY}, not a certificate"
_NOT_A_KEY: Final = f"{_A_CERTIFICATE}, not a private key"
_MISMATCH: Final = "KEY_VALUES_MISMATCH"


def fault_of_pair(certificate: tuple[str, bytes], key: tuple[str, bytes], reason: str) -> tuple[str, str]:
    """Return which file is at fault, "certificate" or "key", and what is wrong with it.

    Both are given as the path and the content, and `reason` is what OpenSSL says, for want of anything better.
    """
    of_certificate, of_key = fault_of_certificate(*certificate), fault_of_key(*key)
    if of_certificate.endswith(_NOT_A_CERTIFICATE) and of_key.endswith(_NOT_A_KEY):
        return "certificate", f"{of_certificate}; certificate and key are swapped"
    if of_certificate:
        return "certificate", of_certificate
    if of_key:
        return "key", of_key
    hint = ": the key is that of another certificate" if reason == _MISMATCH else ""
    return "certificate", f"{certificate[0]} with key {key[0]}: {reason}{hint}"


def fault_of_certificate(path: str, content: bytes) -> str:
    """Return what is wrong with `content` of the file at `path`, which is to hold a certificate; "" if nothing is."""
    from cryptography import x509  # noqa: PLC0415  only where something is wrong: it takes 20 ms and 3 MiB

    labels = _labels(content)
    if not labels:
        return _not_pem(path, content, "certificate")
    if not any(label.endswith("CERTIFICATE") for label in labels):
        return f"{path} holds {_named(labels)}, not a certificate"
    try:
        x509.load_pem_x509_certificates(content)
    except ValueError:
        return f"{path} holds a certificate that is damaged or cut short"
    return ""


def fault_of_key(path: str, content: bytes) -> str:
    """Return what is wrong with `content` of the file at `path`, which is to hold a private key; "" if nothing is."""
    # As above.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    labels = _labels(content)
    if not labels:
        return _not_pem(path, content, "private key")
    if not any(label.endswith("PRIVATE KEY") for label in labels):
        return f"{path} holds {_named(labels)}, not a private key"
    if "OPENSSH PRIVATE KEY" in labels:
        return f"{path} holds a key of OpenSSH; `ssh-keygen -p -m pem -f FILE` rewrites it as PEM"
    try:
        load_pem_private_key(content, None)
    except ValueError:
        return f"{path} holds a private key that is damaged or cut short"
    except (TypeError, UnsupportedAlgorithm):  # it is encrypted, or of a kind that only OpenSSL may know
        return ""
    return ""


def _labels(content: bytes) -> Collection[str]:
    return [label.decode() for label in _LABEL.findall(content)]


def _named(labels: Collection[str]) -> str:
    if any(label.endswith("PRIVATE KEY") for label in labels):
        return _A_KEY
    if any(label.endswith("CERTIFICATE REQUEST") for label in labels):
        return "a request for a certificate, which an authority has yet to sign"
    if any(label.endswith("CERTIFICATE") for label in labels):
        return _A_CERTIFICATE
    return f"a PEM block {next(iter(labels))}"


def _not_pem(path: str, content: bytes, kind: str) -> str:
    if not content.strip():
        return f"{path} is empty"
    if _PKCS12.match(content):
        options = "-nokeys" if kind == "certificate" else "-nocerts -nodes"
        return f"{path} is PKCS#12, not PEM; `openssl pkcs12 -in FILE {options} -out NEW` takes the {kind} out of it"
    if content[0] == _SEQUENCE:
        command = "x509" if kind == "certificate" else "pkey"
        return f"{path} is DER, not PEM; `openssl {command} -inform der -in FILE -out NEW` makes PEM of it"
    return f"{path} is not PEM: it has no line -----BEGIN {kind.upper()}-----"
