"""Takes secrets out of text that is about to be logged, printed or sent.

No line is meant to hold any, but request lines, URLs of storage and errors of libraries may. In running text a secret
is known by the name before it, by its form, or by its place in a URL. Of a configuration more is known:
redacted_setting() and is_secret_name() are for its values and names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

OMITTED: Final = "..."
"""What stands for a secret in running text."""

_ENDINGS: Final = (
    *("token", "password", "passwd", "passphrase", "pwd", "secret", "signature", "sig", "credential", "credentials"),
    *("apikey", "accesskey", "accesskeyid", "accountkey", "privatekey", "secretkey", "signingkey", "sharedkey"),
    *("subscriptionkey", "connectionstring", "googleaccessid", "assertion", "jwt", "cookie", "sessionid"),
    "authorization",
)
"""How the name of a secret ends, without regard to case, ``-`` and ``_``: of a parameter, a header, a key in JSON."""

_WORD: Final = r"(?<![\w-])([\w-]+)"
"""A whole name: a pattern that could begin within one would take quadratic time for a long one."""

_PARAMETER: Final = re.compile(_WORD + r"(?:=|%3[Dd])[\"']?")
_PARAMETER_VALUE: Final = re.compile(r"[^&\s\"';,]+")
_QUOTED: Final = re.compile(_WORD + r"[\"']\s*:\s*b?[\"']")
_QUOTED_VALUE: Final = re.compile(r"(?:[^\"'\\]|\\.)+")
_HEADER: Final = re.compile(_WORD + r": *(?:[A-Za-z][\w-]* +)?")
_HEADER_VALUE: Final = re.compile(r"[^\s\"',]+")
_HEADERS: Final = ("authorization", "-token", "x-api-key")
_IN_QUERY: Final = re.compile(r"([?&](?:key|code|auth|state)=)[^&#\s\"';,]+", re.IGNORECASE)
_USERINFO: Final = re.compile(r"(://)[^/?#\s\"'<>]+@")
_AUTHORIZATION: Final = re.compile(r"(\b(?:Basic|Bearer)|: (?:basic|bearer)) +[A-Za-z0-9._~+/=-]{6,}")
_JWT: Final = re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]+\.[\w-]*")
_API_KEY: Final = re.compile(r"(\bregkey_[0-9a-f]+_)[\w-]+")
_PRIVATE_KEY: Final = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?=-----END|\Z)", re.DOTALL)

_SECRET_NAME: Final = re.compile(
    r"secret|passw|passphrase|pwd|token(?!path|lifetime)|(?:access|account|private|signing|shared|api)[-_]?key(?!s)"
    r"|tempurl|connection_?string|credential|authorization|cookie|signature|^sas$|^sig$",
    re.IGNORECASE,
)
_AUTHORITY: Final = re.compile(
    # A password may hold what should have been percent-encoded. A colon that is not before a port begins one.
    r"((?:^|(?<=[\s\"'(<:]))//)(?:[^/?#\s\"'<>]*@|(?!\[)[^/?#\s\"'<>]*:(?!\d{1,5}(?:[/?#\s\"'<>]|$))[^\s\"'<>]{0,1000}@)"
)
_QUERY: Final = re.compile(r"(//[^\s\"'<>?#]{0,2000})([?#][^\s\"'<>]*)")
_VALUE: Final = re.compile(r"(?<==)[^&;#?]+|(?<=[?#&;])[^=&;#?]+(?=[&;#?]|$)")


def redacted(text: str, omitted: str = OMITTED) -> str:
    """Return `text` without upload states, tokens, signatures, passwords and credentials."""
    # To look for what each kind of secret must have costs less than its pattern does.
    if "=" in text or "%3" in text:
        text = _without_values(text, _PARAMETER, _PARAMETER_VALUE, _is_secret, omitted)
        if "?" in text:
            text = _IN_QUERY.sub(rf"\1{omitted}", text)
    if ":" in text:
        text = _redacted_after_colons(text, omitted)
    if "asic " in text or "earer " in text:
        text = _AUTHORIZATION.sub(rf"\1 {omitted}", text)
    if "eyJ" in text:
        text = _JWT.sub(omitted, text)
    if "regkey_" in text:
        text = _API_KEY.sub(rf"\1{omitted}", text)
    if "PRIVATE KEY-----" in text:
        text = _PRIVATE_KEY.sub(rf"\1{omitted}", text)
    return text


def _redacted_after_colons(text: str, omitted: str) -> str:
    if "://" in text:
        text = _USERINFO.sub(rf"\1{omitted}@", text)
    if '"' in text or "'" in text:
        text = _without_values(text, _QUOTED, _QUOTED_VALUE, _is_secret, omitted)
    if ": " in text:
        text = _without_values(text, _HEADER, _HEADER_VALUE, _is_secret_header, omitted)
    return text


def _without_values(
    text: str, before: re.Pattern[str], value: re.Pattern[str], is_secret: Callable[[str], bool], omitted: str
) -> str:
    """Return `text` with `omitted` for each `value` after a match of `before` whose group 1 is the name of a secret."""
    kept, at = [], 0
    for found in before.finditer(text):
        secret = value.match(text, found.end()) if found.start() >= at and is_secret(found[1].lower()) else None
        if secret:
            kept += [text[at : found.end()], omitted]
            at = secret.end()
    return "".join([*kept, text[at:]]) if kept else text


def _is_secret(name: str) -> bool:
    return name.endswith("_state") or name.replace("-", "").replace("_", "").endswith(_ENDINGS)


def _is_secret_header(name: str) -> bool:
    return name.endswith(_HEADERS)


def redacted_setting(text: str, omitted: str = OMITTED) -> str:
    """Return a value of the configuration, or text that repeats one, without what may be a secret.

    Of a URL in it the user, the password and each value of its query go: what a service calls its secret is not known.
    """
    if "//" in text:
        text = _AUTHORITY.sub(rf"\1{omitted}@", text)
        text = _QUERY.sub(lambda found: found[1] + _VALUE.sub(omitted, found[2]), text)
    return redacted(text, omitted)


def is_secret_name(name: str) -> bool:
    """Tell whether a key of the configuration called `name` holds a secret, or a section of them."""
    return _SECRET_NAME.search(name) is not None
