"""What a store says in XML: listings, what was not deleted, and why it refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from registry.foundation.http_client import Reply

_NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
_DECLARATION: Final = b"<!DOCTYPE"
"""What entities are declared in. No store sends it, and pages of proxies begin with it."""


class Entry(NamedTuple):
    """An object in a listing; size in bytes, time in seconds since the epoch, ETag "" if the store does not tell it."""

    key: str
    size: int
    modified: float
    etag: str


class Listing(NamedTuple):
    """One answer of ListObjectsV2; `token` continues it, "" at its end. `server` is what the store calls itself."""

    entries: Sequence[Entry]
    prefixes: Sequence[str]
    token: str
    server: str


class Failure(NamedTuple):
    """What DeleteObjects says of an object that it did not delete."""

    key: str
    code: str
    message: str


class AnswerError(Exception):
    """The answer is not what the call has; the text says what is wrong."""


def code_and_message(answer: Reply) -> tuple[str, str]:
    """Return S3's code and words for what it refuses; the status and its phrase, where the answer says nothing more."""
    try:
        root = _parsed(answer.content)
    except (AnswerError, ET.ParseError):
        root = None
    if root is None or _name(root) != "Error":
        return str(answer.status), answer.reason
    found = _texts(root)
    return found.get("Code", str(answer.status)), found.get("Message", "")


def region_of(answer: Reply) -> str:
    """Return the region that a refusal names, "" if none."""
    if told := answer.headers.get("x-amz-bucket-region", ""):
        return str(told)
    try:
        return _texts(_parsed(answer.content)).get("Region", "")
    except (AnswerError, ET.ParseError):
        return ""


def listing(answer: Reply) -> Listing:
    """Return what an answer of ListObjectsV2 lists, to which keys were asked for as in URLs.

    Raises:
        Exception: the answer is something else.
    """
    root = _root(answer, "ListBucketResult")
    entries, prefixes, told = [], [], dict[str, str]()
    for element in root:
        match _name(element):
            case "Contents":
                entries.append(_entry(_texts(element)))
            case "CommonPrefixes":
                prefixes.append(_texts(element)["Prefix"])
            case name:
                told[name] = element.text or ""
    if told.get("EncodingType") == "url":
        entries = [entry._replace(key=unquote_plus(entry.key)) for entry in entries]
        prefixes = [unquote_plus(prefix) for prefix in prefixes]
    return Listing(entries, prefixes, _token(told), answer.headers.get("Server", ""))


def _token(told: Mapping[str, str]) -> str:
    """Return what continues a listing that says this.

    Every listing says whether it is all. What does not is not S3's, and would mean that there is nothing.
    """
    match told["IsTruncated"].strip().lower():
        case "false":
            return ""
        case "true" if token := told.get("NextContinuationToken"):
            return token
        case "true":
            raise AnswerError("a listing that is not all, and does not say how to go on")
        case _:
            raise AnswerError("a listing that does not say whether it is all")


def failures(answer: Reply) -> list[Failure]:
    """Return what an answer of DeleteObjects says.

    Where only failures are asked for and there are none, the service of Alibaba says nothing at all.

    Raises:
        Exception: the answer is something else.
    """
    if not answer.content.strip():
        return []
    told = [_texts(element) for element in _root(answer, "DeleteResult") if _name(element) == "Error"]
    return [Failure(each.get("Key", ""), each.get("Code", ""), each.get("Message", "")) for each in told]


def deletion(objects: Iterable[Mapping[str, str]]) -> bytes:
    """Return what DeleteObjects is asked, to which only failures are answered, of objects with a ``Key`` and more."""
    asked = "".join(
        f"<Object>{''.join(f'<{name}>{_escaped(value)}</{name}>' for name, value in each.items())}</Object>"
        for each in objects
    )
    return f'<Delete xmlns="{_NAMESPACE}">{asked}<Quiet>true</Quiet></Delete>'.encode()


def time_of(text: str) -> float:
    """Return the time that a header or an element says, in seconds since the epoch; HTTP has one form, XML another."""
    if text[:1].isdigit():
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return parsedate_to_datetime(text).timestamp()


def _escaped(text: str) -> str:
    return escape(text, {"\r": "&#13;", "\n": "&#10;"})


def _entry(fields: Mapping[str, str]) -> Entry:
    return Entry(fields["Key"], int(fields["Size"]), time_of(fields["LastModified"]), fields.get("ETag", ""))


def _root(answer: Reply, name: str) -> ET.Element:
    root = _parsed(answer.content)
    if _name(root) != name:
        raise AnswerError(f"{_name(root)} in place of {name}")
    return root


def _parsed(content: bytes) -> ET.Element:
    if _DECLARATION in content:
        raise AnswerError("a document type in XML")
    return ET.fromstring(content)  # noqa: S314 - without a document type there are no entities


def _texts(element: ET.Element) -> dict[str, str]:
    return {_name(each): each.text or "" for each in element}


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
