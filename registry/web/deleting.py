"""The pages that delete tags, a manifest or a repository: each asks first, and says what will happen."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flask import Blueprint, request

import auth.base
import drivers.base
from registry.error_codes import message_of
from registry.handlers.context import hand_over
from registry.handlers.current import services
from registry.handlers.looking import looking
from registry.oci.digest import Digest
from registry.oci.errors import ManifestUnknownError, NameUnknownError, ParameterInvalidError
from registry.oci.reference import parse_name, parse_tag
from registry.web.acting import AsSeen, Changing, MovedError, open_to_delete
from registry.web.consequences import of_tags, tags_of
from registry.web.page import page, redirect, render
from registry.web.site import site
from registry.web.visitor import visitor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registry.handlers.response import Response
    from registry.oci.reference import Tag

blueprint = Blueprint("web_deleting", __name__)

_MOST_TAGS: Final = 200
"""Tags that one form deletes."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a tag or a manifest, `what`; `error` says why it is still there, "" if it is gone."""

    what: str
    error: str


@blueprint.get("/_delete")
@page
def ask_deletion() -> Response:
    """Ask whether to delete what the query names: tags, or a manifest, or else all of the repository."""
    name = parse_name(request.args.get("repository", ""))
    visitor().open(name)
    hand_over()
    tags, digest = _tags(request.args.getlist("tag")), request.args.get("digest", "")
    if tags:
        open_to_delete(visitor(), name, tags[0] if len(tags) == 1 else "", with_tags=True)
        return _ask_tags(name, [tag.name for tag in tags])
    if digest:
        open_to_delete(visitor(), name, digest)
        return _ask_manifest(name, Digest.parse(digest))
    if request.args.get("what") == "tags":  # of which none was ticked
        return render("choose.html", name=name)
    open_to_delete(visitor(), name, with_tags=True)
    return _ask_repository(name)


@blueprint.post("/_delete")
@page
def delete() -> Response:
    """Delete what a form of ask_deletion() names."""
    name = parse_name(request.form.get("repository", ""))
    visitor().open(name)
    hand_over()
    tags, digest = _tags(request.form.getlist("tag")), request.form.get("digest", "")
    if tags:
        return _delete_tags(name, tags, request.form)
    if digest:
        return _delete_manifest(name, Digest.parse(digest))
    return _delete_repository(name, request.form.get("confirm", ""))


def _tags(texts: Sequence[str]) -> list[Tag]:
    if len(texts) > _MOST_TAGS:
        raise ParameterInvalidError(f"at most {_MOST_TAGS} tags can be deleted at a time")
    return [parse_tag(text) for text in dict.fromkeys(texts)]


def _ask_tags(name: str, tags: Sequence[str]) -> Response:
    collection = services().configuration.storage.maintenance.garbagecollection
    found = of_tags(looking().images, name, tags)
    return render("delete_tags.html", name=name, found=found, collects=collection.untagged.enabled)


def _ask_manifest(name: str, digest: Digest) -> Response:
    read = looking().images.source
    if not read.has(name, digest):
        raise ManifestUnknownError("manifest unknown", str(digest))
    tags, complete = tags_of(read, name, digest)
    may_untag = visitor().may(name, "untag")
    return render("delete_manifest.html", name=name, digest=digest, tags=tags, complete=complete, may_untag=may_untag)


def _ask_repository(name: str, typed: str | None = None) -> Response:
    """Ask for the name of a repository; `typed` is what the visitor has typed, which is another one."""
    if not services().repositories.catalog.keeps(name):
        raise NameUnknownError("repository name not known to registry", {"name": name})
    return render("delete_repository.html", 200 if typed is None else 400, name=name, typed=typed)


def _delete_tags(name: str, tags: Sequence[Tag], form: Mapping[str, str]) -> Response:
    """Delete tags that lead where the form says that the visitor has seen; tell what has become of each."""
    changing = open_to_delete(visitor(), name, tags[0] if len(tags) == 1 else "", with_tags=True)
    outcomes = [Outcome(tag.name, _delete_tag(changing, tag, form.get(f"seen:{tag.name}", ""))) for tag in tags]
    failed = any(each.error for each in outcomes)
    return render("deleted.html", 409 if failed else 200, name=name, outcomes=outcomes, failed=failed)


def _delete_tag(changing: Changing, tag: Tag, seen: str) -> str:
    """Delete a tag if it leads where the visitor has seen; return why not, "" if it is gone."""
    condition = AsSeen(Digest.parse(seen)) if seen else None
    try:
        changing.publishing.remove_tag(changing.repository, tag, condition)
    except ManifestUnknownError:
        return ""
    except (auth.base.DeniedError, MovedError) as error:
        return str(error)
    except drivers.base.DriverError as error:
        _log.error("tag %s of %s cannot be deleted: %s", tag, changing.repository.name, error)
        return message_of(error)
    return ""


def _delete_manifest(name: str, digest: Digest) -> Response:
    changing = open_to_delete(visitor(), name, digest)
    changing.publishing.remove_manifest(changing.repository, digest)
    return render("deleted.html", name=name, outcomes=[Outcome(str(digest), "")], failed=False)


def _delete_repository(name: str, typed: str) -> Response:
    """Delete a repository whose name the visitor has typed; those nested in its name stay."""
    changing = open_to_delete(visitor(), name, with_tags=True)
    if typed != name:
        return _ask_repository(name, typed)
    changing.publishing.remove_repository(changing.repository)
    changing.publishing.settle_removals(lambda: [changing.repository])
    return redirect(site().links.home())
