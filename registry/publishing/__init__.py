"""What happens when a blob, a manifest, a tag becomes visible or goes: one operation each.

Views, the importer, the garbage collection and whatever else changes what clients can see call these and not the
stores, so that a rule holds for all of them, and so that one place knows of each change. It tells the journal where the
change is durable and not answered yet. An operation that fails there fails as a whole, and can be repeated; but what it
has deleted is gone by then, and a second deletion finds nothing to tell of.

What makes something visible passes through registry.storage.passage, whoever asks for it: a client, or a command that
runs beside the server. So a garbage collection may run at any time. Deletions need not.

Not through here go:

- the garbage collection where it deletes the bytes of a blob, which no repository has any more, and the entries of a
  tag's history, which no client sees;
- the eviction of what was cached of another registry (registry.proxy.eviction), which nobody has pushed and which
  comes back when somebody asks for it; it moves links as the garbage collection does, and tells nobody;
- uploads until they are finished, but for the question whether a quota has room for them;
- ``registry storage copy``: below the level of repositories it makes one storage a copy of another. What is visible
  there became visible at its source, where listeners were told of it. No garbage collection may run on either
  meanwhile, for a copy tells none of what it relies on;
- ``registry fsck --repair``, which restores links of what was told of when it was pushed, and removes what leads
  nowhere;
- ``registry referrers rebuild``, which only derives again what pushes through here have derived;
- the purge of abandoned uploads, which no client sees as blobs.
"""

from __future__ import annotations

from registry.publishing.callers import Caller, Condition, Guard, Operator
from registry.publishing.copying import Copied, Copy, copy_manifest, copy_with_referrers
from registry.publishing.publishing import Publishing

__all__ = [
    "Caller",
    "Condition",
    "Copied",
    "Copy",
    "Guard",
    "Operator",
    "Publishing",
    "copy_manifest",
    "copy_with_referrers",
]
