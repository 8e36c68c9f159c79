"""``notifications``: changes, and pulls, are told to endpoints over HTTP."""
