"""Which authorities the certificates of a store may be of, as the environment says it to SDKs, which use requests."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any, Final

_NAMED: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables of a file, or a directory, of authorities."""


def authorities() -> dict[str, Any]:
    """Return the arguments that tell a HttpClient of them; where no variable names any they are those of the system."""
    named = next(filter(None, map(os.environ.get, _NAMED)), "")
    if named and Path(named).is_dir():
        return {"context": ssl.create_default_context(capath=named)}
    return {"cafile": named}
