"""Whether ``make run`` can listen on its ADDR, asked before it tells what to type next.

``.venv/bin/python deploy/address.py 127.0.0.1:5000`` says nothing if it can; else what is wrong, in the terms of make.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from registry.config import ConfigurationError
from registry.server import binding

_KEY: Final = "ADDR"
_OTHER_PORTS: Final = range(5001, 5100)


def refusal(text: str) -> str:
    """Return why a server cannot listen on `text`, HOST:PORT, and what to type instead; "" if it can."""
    try:
        binding.require(text, _KEY)
    except ConfigurationError as error:
        cause = error.__cause__
        reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else cause
        return f"cannot listen on {_KEY}={text}: {reason}; try: make run {_KEY}={_other_address()}"
    return ""


def _other_address() -> str:
    for port in _OTHER_PORTS:
        address = f"127.0.0.1:{port}"
        try:
            binding.close(binding.bind(binding.tcp_address(address, _KEY), _KEY))
        except ConfigurationError:
            continue
        return address
    return "127.0.0.1:0"


def main() -> None:
    """Exit with a line if the address that is the argument cannot be listened on."""
    if os.environ.get("REGISTRY_HTTP_NET") != "unix":
        sys.exit(refusal(sys.argv[1]) or 0)


if __name__ == "__main__":
    main()
