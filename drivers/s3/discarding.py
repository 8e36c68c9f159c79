"""Deleting many objects, each only if it still has the version that a listing has told.

A version is the second of the last change and the ETag. S3 compares the ETag as it deletes; but objects with the same
bytes have the same ETag, and some stores take no notice of it. So versions are looked at right before. What is put
between that look and the deletion is deleted if it has the same bytes, or if the store takes no notice of ETags.
"""

from __future__ import annotations

from os.path import commonprefix
from typing import TYPE_CHECKING, Any, Final

from drivers.base import DriverError, PathNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from drivers.s3.bucket import Bucket

_WORTHWHILE: Final = 20
"""Versions that a listing of a thousand has to tell to cost less than asking for each."""


def version_of(entry: Any) -> str:
    """Return the version of an entry of a listing, or of the answer to HeadObject."""
    # Some stores tell milliseconds in a listing only.
    return f"{int(entry['LastModified'].timestamp())} {entry['ETag']}"


def discard(bucket: Bucket, versions: Mapping[str, str]) -> list[str]:
    """Delete the objects of at most a thousand keys that have these versions; return the keys of those that have not.

    Raises:
        DriverError: some could not be deleted; all others are.
    """
    found = dict(_listed(bucket, sorted(versions)))
    asked = {key: bucket.ask(key) for key in versions if key not in found}
    failure: DriverError | None = None
    for key, answer in asked.items():
        try:
            found[key] = answer.result()
        except PathNotFoundError:
            continue
        except DriverError as error:
            failure = failure or error
    same = {key: version.partition(" ")[2] for key, version in versions.items() if found.get(key) == version}
    changed = [key for key in found if key not in same]
    if same:
        changed += bucket.remove_if(same)
    if failure:
        raise failure
    return changed


def _listed(bucket: Bucket, keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield those of `keys`, which are sorted, whose versions listings tell, as long as these tell many."""
    prefix, told = commonprefix(keys), _WORTHWHILE  # noqa: RUF071 - of keys, character by character
    while told >= _WORTHWHILE and len(keys) >= _WORTHWHILE:
        page = bucket.page(Prefix=prefix, StartAfter=keys[0][:-1])
        found = {entry["Key"]: entry for entry in page.get("Contents", ())}
        last = max(found, default="") if page["IsTruncated"] else keys[-1]
        passed = [key for key in keys if key <= last]
        here = [key for key in passed if key in found]
        yield from ((key, version_of(found[key])) for key in here)
        told, keys = len(here), keys[len(passed) :]
