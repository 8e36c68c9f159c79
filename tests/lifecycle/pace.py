"""``python pace.py python -m registry ARGUMENTS``: the command line, where a run takes seconds and not hours.

The variable PACE is a JSON object with what is to be otherwise than below.
"""

from __future__ import annotations

import json
import os
import sys

from registry.__main__ import main
from registry.storage import runs

_QUICK = {"announced": 0.3, "cached": 0.1, "beat": 0.1, "reliance": 1, "margin": 0, "closed": 5}
runs.PACE = runs.Pace(**(_QUICK | json.loads(os.environ.get("PACE", "{}"))))
sys.argv = ["registry", *sys.argv[4:]]
if sys.argv[1:2] == ["serve"]:
    from registry.lifecycle import jobs

    jobs._SPREAD_SECONDS = 1.0  # type: ignore[misc]
main()
