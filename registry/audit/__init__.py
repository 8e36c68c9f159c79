"""The audit log: who did what, from where and by which rule, as lines each of which proves those before it."""
