"""What is a name in the tree of a storage, and what another program has put there: the one place that decides it.

File servers, file managers and editors leave files and folders of their own everywhere: ``@eaDir``, ``Thumbs.db``,
``lost+found``. Every listing (registry.storage.listing) gives only what one of these functions takes for a name. What
would be a name but is a file, StorageDriver.list_prefixes() leaves out, and what begins with a dot, every driver.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from registry.oci import reference, uploads
from registry.oci.digest import ALGORITHMS
from registry.storage import paths

IsName = Callable[[str], object]
"""Gives what is true for a name and false for others. Most are methods of patterns, which cost little for each name."""

is_algorithm: IsName = ALGORITHMS.__contains__
"""The algorithm of a digest."""
is_part_of_manifests: IsName = frozenset({"revisions", "tags"}).__contains__
"""What lies in the part of a repository that has its manifests."""
is_part_of_referrers: IsName = frozenset({"subjects"}).__contains__
"""What lies in the part of a repository that has its index of referrers."""
is_part_of_condemned: IsName = frozenset({paths.LAYERS, paths.MANIFESTS}).__contains__
"""What lies in the part of a repository that has what a garbage collection has condemned."""
is_part_of_proxy: IsName = frozenset({"tags", "referrers"}).__contains__
"""What lies in the part of a repository that has what is remembered of another registry."""
is_prefix: Final[IsName] = re.compile("[0-9a-f]{2}").fullmatch
"""What the hex of a digest begins with."""
is_tag: Final[IsName] = reference.is_tag
is_upload_id: Final[IsName] = uploads.is_upload_id
is_repository: Final[IsName] = reference.is_name
"""The whole name of a repository."""
is_upstream: Final[IsName] = reference.is_component
"""A registry that this one caches."""
is_member: Final[IsName] = re.compile("[A-Za-z0-9-]+").fullmatch
"""A host of a cluster."""
is_day: Final[IsName] = re.compile("[0-9]{8}").fullmatch
"""A day that segments of the audit log were begun on."""
is_segment: Final[IsName] = re.compile(r"[0-9]{6}\.jsonl").fullmatch
"""A segment of the audit log."""
is_labelled: Final[IsName] = re.compile("[A-Za-z0-9_-]+-[0-9a-f]{16}").fullmatch
"""What registry.storage.paths.label() gives."""
is_dead_letter: Final[IsName] = re.compile("[0-9]{19}-[0-9]{9}-[0-9a-f-]{36}").fullmatch
"""The time of an event, its index among those of the same entry, and its id."""
is_run: Final[IsName] = re.compile("[0-9]{12}").fullmatch
"""A run of retention."""
is_part: Final[IsName] = re.compile("[0-9]{6}").fullmatch
"""A part of what is kept in several objects."""
is_restored: Final[IsName] = re.compile("[0-9]{20}-[0-9a-f]{16}").fullmatch
"""A note of tags that retention has given back: when it was written, and a random number."""
is_folding: Final[IsName] = re.compile("[0-9]{12}-[0-9a-f]{16}").fullmatch
"""A time at which the pulls were folded."""
is_pulls_batch: Final[IsName] = re.compile("[A-Za-z0-9-]+-[0-9]+-[0-9]{20}").fullmatch
"""What a process has noted of pulls."""
is_notice: Final[IsName] = re.compile("[0-9]{20}-[0-9a-f]{16}").fullmatch
"""A notice to a garbage collection: when its writer has put it, and a random number."""
is_epoch: Final[IsName] = re.compile("[0-9]{12}").fullmatch
"""A term in which somebody holds a lease."""
is_report: Final[IsName] = re.compile(r"[0-9]{12}\.json").fullmatch
"""The report of a run of the garbage collection."""
is_run_number: Final[IsName] = re.compile("[0-9]{12}").fullmatch
"""The number of a run of the garbage collection."""
is_part_of_list: Final[IsName] = re.compile("[0-9]{6}").fullmatch
"""A part of a list that such a run has made."""

_HEX: Final = {name: re.compile(f"[0-9a-f]{{{length}}}").fullmatch for name, length in ALGORITHMS.items()}


def is_hex(algorithm: str) -> IsName:
    """Return what takes the hex of digests of `algorithm`."""
    return _HEX[algorithm]


def is_component_below(parent: str) -> IsName:
    """Return what takes a component of repositories' names behind `parent`, which is "" or ends with a slash.

    What is taken behind "" need not be a whole name: ``UPPER`` is none, ``UPPER/app`` is one.
    """
    if not parent:
        return reference.may_be_first
    room = reference.MAX_NAME_LENGTH - len(parent)
    return lambda name: len(name) <= room and reference.is_component(name)
