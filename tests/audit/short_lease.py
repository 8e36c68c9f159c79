"""``python short_lease.py ARGUMENTS``: the command line, where a lease passes on within seconds and not a minute.

All times are a fifth of what they are, but for the looks. Tests of the journal's leases have them as they are.
"""

from __future__ import annotations

import sys

from registry import lease
from registry.__main__ import main

lease.TERM_SECONDS = 6.0  # type: ignore[misc]
lease._RENEWAL_SECONDS = 1.6  # type: ignore[misc]
lease._FILES = lease._OBJECTS = lease._Pace(looks=0.5, relies=2.0)  # type: ignore[misc]
sys.argv = ["registry", *sys.argv[1:]]
main()
