"""Takes secrets out of text that is about to be logged.

No line is meant to hold any, but request lines, URLs of storage and errors of libraries may.
"""

from __future__ import annotations

import re
from typing import Final

_OMITTED: Final = "..."
_PARAMETER: Final = re.compile(
    r"((?:_state|token|access_token|refresh_token|id_token|password|passwd|secret|api_?key|sig|Signature|Credential"
    r"|X-Amz-Signature|X-Amz-Credential|X-Amz-Security-Token|X-Goog-Signature|X-Goog-Credential|AccountKey"
    r"|SharedAccessSignature|AWSAccessKeyId|GoogleAccessId)(?:=|%3[Dd]))[^&\s\"';,]+",
    re.IGNORECASE,
)
_USERINFO: Final = re.compile(r"(://)[^/@\s\"']+(?=@)")
_CREDENTIALS: Final = re.compile(r"(\b(?:Basic|Bearer)|: (?:basic|bearer)) +[A-Za-z0-9._~+/=-]{6,}")


def redacted(text: str) -> str:
    """Return `text` without upload states, tokens, signatures, passwords and credentials."""
    # Every text that can hold a secret has one of these, and to look for them costs less than the patterns do.
    if not ("=" in text or "://" in text or "asic " in text or "earer " in text):
        return text
    text = _PARAMETER.sub(rf"\1{_OMITTED}", text)
    text = _USERINFO.sub(rf"\1{_OMITTED}", text)
    return _CREDENTIALS.sub(rf"\1 {_OMITTED}", text)
