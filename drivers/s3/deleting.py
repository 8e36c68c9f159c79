"""Deleting many objects: whatever they are, or each only if it still has the version that a listing has told.

A version is the second of the last change and the ETag. S3 compares the ETag as it deletes; but objects with the same
bytes have the same ETag, and some stores take no notice of it. So versions are looked at right before. What is put
between that look and the deletion is deleted if it has the same bytes, or if the store takes no notice of ETags.
"""

from __future__ import annotations

import random
import time
from itertools import islice
from os.path import commonprefix
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError, PathNotFoundError, UnavailableError, UploadBusyError
from drivers.s3.errors import code_of, word_for
from drivers.translation import writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from drivers.s3.answers import Failure
    from drivers.s3.bucket import Bucket

_BATCH: Final = 1000
"""Keys in one deletion: the most that S3 allows."""
_WORTHWHILE: Final = 20
"""Versions that a listing of a thousand has to tell to cost less than asking for each."""
_GONE: Final = frozenset({"NoSuchKey", "404"})
_NO_CONDITION: Final = frozenset({"NotImplemented", "501", "MalformedXML"})
"""How a store refuses a condition that it does not know."""
_PAUSES: Final = (0.5, 1.0, 2.0, 4.0)
"""Seconds, and up to as many more, before it is tried again to delete what a store was too busy for."""


def remove(bucket: Bucket, keys: Iterable[str]) -> None:
    """Delete objects; it is not an error if some are gone already."""
    rest = iter(keys)
    while batch := list(islice(rest, _BATCH)):
        if len(batch) == 1:
            bucket.delete(batch[0])
        else:
            _raise_first(_delete(bucket, [{"Key": key} for key in batch]))


def version_of(modified: float, etag: str) -> str:
    """Return the version of an object of which a listing or HeadObject tells this."""
    # Some stores tell milliseconds in a listing only.
    return f"{int(modified)} {etag}"


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
        changed += _remove_if(bucket, same)
    if failure:
        raise failure
    return changed


def _listed(bucket: Bucket, keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield those of `keys`, which are sorted, whose versions listings tell, as long as these tell many."""
    prefix, told = commonprefix(keys), _WORTHWHILE  # noqa: RUF071 - of keys, character by character
    while told >= _WORTHWHILE and len(keys) >= _WORTHWHILE:
        page = bucket.page(prefix, after=keys[0][:-1])
        found = {entry.key: entry for entry in page.entries}
        last = max(found, default="") if page.token else keys[-1]
        passed = [key for key in keys if key <= last]
        here = [key for key in passed if key in found and found[key].etag]
        yield from ((key, version_of(found[key].modified, found[key].etag)) for key in here)
        told, keys = len(here), keys[len(passed) :]


def _remove_if(bucket: Bucket, etags: Mapping[str, str]) -> list[str]:
    """Delete objects, at most a thousand, that have these ETags; return the keys of those that have not.

    A store that refuses the condition is not asked to compare.
    """
    try:
        errors = _delete(bucket, [{"Key": key, "ETag": etag} for key, etag in etags.items()])
    except DriverError as error:
        if code_of(error) not in _NO_CONDITION:
            raise
        errors = _delete(bucket, [{"Key": key} for key in etags])
    changed = [error.key for error in errors if _word_of(error) is UploadBusyError]
    _raise_first(error for error in errors if _word_of(error) is not UploadBusyError)
    return changed


def _delete(bucket: Bucket, objects: Sequence[Mapping[str, str]]) -> list[Failure]:
    """Delete objects and return what the store says of those that could not be deleted.

    It is tried again already where a call fails as a whole, not where the store is too busy for some of its objects.
    """
    errors: list[Failure] = []
    for pause in (*_PAUSES, None):
        busy = set()
        for error in bucket.delete_objects(objects):
            if pause and _word_of(error) is UnavailableError:
                busy.add(error.key)
            elif error.code not in _GONE:
                errors.append(error)
        objects = [each for each in objects if each["Key"] in busy]
        if not objects or not pause:
            break
        time.sleep(pause * (1 + random.random()))  # noqa: S311 - so that not all come again at the same time
    return errors


def _word_of(error: Failure) -> type[DriverError]:
    return word_for(error.code)


def _raise_first(errors: Iterable[Failure]) -> None:
    for error in errors:
        reason = f"{error.code} {error.message}".rstrip()
        raise writing(_word_of(error))(f"s3: DeleteObjects {error.key}: {reason}")
