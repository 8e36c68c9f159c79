"""``registry garbage-collect``: what nothing leads to any more is found and deleted."""
