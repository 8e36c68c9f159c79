"""The only author of storage paths: the layout of the CNCF distribution registry, verbatim.

Below ROOT, inside the driver's own root::

    blobs/<alg>/<first 2 hex>/<hex>/data
    repositories/<name>/_layers/<alg>/<hex>/link
    repositories/<name>/_manifests/revisions/<alg>/<hex>/link
    repositories/<name>/_manifests/tags/<tag>/current/link
    repositories/<name>/_manifests/tags/<tag>/index/<alg>/<hex>/link
    repositories/<name>/_uploads/<id>/{data,startedat}

and, of our own, where that registry does not look::

    repositories/<name>/_uploads/<id>/verified
    repositories/<name>/_condemned/{_layers,_manifests/revisions}/<alg>/<hex>/link
    repositories/<name>/_referrers/subjects/<alg>/<subject hex>/<alg>/<referrer hex>/{link,descriptor}
    repositories/<name>/_proxy/tags/<tag>
    repositories/<name>/_proxy/referrers/<alg>/<subject hex>
    repositories/<name>/_proxy/manifests/<alg>/<hex>
    copies/<alg>/<hex>/data, while ``registry storage copy`` runs

and not below ROOT::

    /scheduler-state.json, of a Go registry that caches another one
    /registry/cluster/<host>
    /registry/journal/log
    /registry/journal/cursors/<label of a consumer>
    /registry/journal/dead/<label of an endpoint>/<time>-<index>-<id of an event>
    /registry/leases/<name>/<epoch>
    /registry/gc/run
    /registry/gc/notices/<id>
    /registry/gc/reports/<run>.json
    /registry/gc/orphans/<run>/<number>
    /registry/usage/<label of a quota>/base
    /registry/usage/<label of a quota>/added/<label of a process>
    /registry/scrub
    /registry/quarantine/<alg>/<hex>, bytes that do not have their digest
    /registry/quarantine/arriving/<alg>/<hex>/data, while they are moved there
    /registry/audit/<YYYYMMDD>/<number>.jsonl
    /registry/audit/{head,seen/<host>,told/<name>}
    /registry/retention/reports/<run>/{begun,<part>,summary}
    /registry/retention/restored/<time>-<id>
    /registry/proxy/eviction/{claim,begun,ended,waiting}
    /registry/proxy/prefetch/<hash of an entry>{,-claim}
    /registry/pulls/{since,<YYYYMMDD>/<host>-<pid>-<time>,folded/<number>-<id>/{<part>,whole}}
    /registry/proxy/fills/<name of an upstream>/<alg>/<hex>/{claim,about,data}
    /registry/auth/<name of a record>, what access controllers keep

A link is a small object that holds a digest as text, without a newline.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from registry.oci.digest import Digest

ROOT: Final = "/docker/registry/v2"
REPOSITORIES: Final = f"{ROOT}/repositories"
BLOBS: Final = f"{ROOT}/blobs"
COPIES: Final = f"{ROOT}/copies"
SCHEDULER: Final = "/scheduler-state.json"
CLUSTER: Final = "/registry/cluster"
JOURNAL: Final = "/registry/journal/log"
CURSORS: Final = "/registry/journal/cursors"
DEAD_LETTERS: Final = "/registry/journal/dead"
LEASES: Final = "/registry/leases"
AUDIT: Final = "/registry/audit"
USAGE: Final = "/registry/usage"
GC: Final = "/registry/gc"
GC_RUN: Final = f"{GC}/run"
GC_NOTICES: Final = f"{GC}/notices"
GC_REPORTS: Final = f"{GC}/reports"
GC_ORPHANS: Final = f"{GC}/orphans"
SCRUB: Final = "/registry/scrub"
QUARANTINE: Final = "/registry/quarantine"
QUARANTINE_ARRIVING: Final = f"{QUARANTINE}/arriving"
AUDIT_HEAD: Final = f"{AUDIT}/head"
RETENTION_REPORTS: Final = "/registry/retention/reports"
RETENTION_RESTORED: Final = "/registry/retention/restored"
PULLS: Final = "/registry/pulls"
PULLS_SINCE: Final = f"{PULLS}/since"
PULLS_FOLDED: Final = f"{PULLS}/folded"
EVICTION: Final = "/registry/proxy/eviction"
EVICTION_CLAIM: Final = f"{EVICTION}/claim"
EVICTION_BEGUN: Final = f"{EVICTION}/begun"
EVICTION_ENDED: Final = f"{EVICTION}/ended"
EVICTION_WAITING: Final = f"{EVICTION}/waiting"
FILLS: Final = "/registry/proxy/fills"
AUTH: Final = "/registry/auth"
WRITTEN: Final = (f"{BLOBS}/sha256", REPOSITORIES)
"""The prefixes below which a push writes."""

# The parts of a repository. No component of a repository's name begins with an underscore.
LAYERS: Final = "_layers"
MANIFESTS: Final = "_manifests"
REVISIONS: Final = f"{MANIFESTS}/revisions"
TAGS: Final = f"{MANIFESTS}/tags"
REFERRERS: Final = "_referrers"
UPLOADS: Final = "_uploads"
PROXY: Final = "_proxy"
CONDEMNED: Final = "_condemned"

DATA: Final = "data"
LINK: Final = "link"
"""What a link is called in its directory; a tag, and a component of a repository's name, may be called so too."""

_READABLE: Final = 40
"""Characters of a name that stay in its label."""


def below(path: str, name: str) -> str:
    """Return what lies directly below `path` under `name`, which was listed there."""
    return f"{path}/{name}"


def cluster_member(name: str) -> str:
    """Return where the host called `name` says what it is."""
    return f"{CLUSTER}/{name}"


def auth_record(name: str) -> str:
    """Return where an access controller keeps the record called so, or those whose names begin with it and a slash."""
    return f"{AUTH}/{name}"


def audit_day(day: str) -> str:
    """Return the prefix below which the segments of the audit log lie that were begun on `day`, ``YYYYMMDD``."""
    return f"{AUDIT}/{day}"


def audit_segment(day: str, name: str) -> str:
    """Return where a segment of the audit log lies."""
    return f"{audit_day(day)}/{name}"


def audit_seen(host: str) -> str:
    """Return where it is remembered what configuration the audit log has seen of the host called so."""
    return f"{AUDIT}/seen/{host}"


def audit_told(name: str) -> str:
    """Return where it is remembered what of the audit log was told to the output called so."""
    return f"{AUDIT}/told/{name}"


def gc_notice(notice_id: str) -> str:
    """Return where a writer says what it makes live, or relies on, while a garbage collection runs."""
    return f"{GC_NOTICES}/{notice_id}"


def gc_report(run: int) -> str:
    """Return where the report of a run lies; later ones sort behind."""
    return f"{GC_REPORTS}/{run:012}.json"


def gc_orphans(run: int) -> str:
    """Return the prefix of the list that a run has made of blobs that no link leads to."""
    return f"{GC_ORPHANS}/{run:012}"


def gc_orphans_part(run: int, number: int) -> str:
    """Return where a part of that list lies."""
    return f"{gc_orphans(run)}/{number:06}"


def retention_report(run: int) -> str:
    """Return the prefix below which the report of a run of retention lies; later ones sort behind."""
    return f"{RETENTION_REPORTS}/{run:012}"


def retention_begun(run: int) -> str:
    """Return where a run of retention says that it has begun."""
    return f"{retention_report(run)}/begun"


def retention_part(run: int, number: int) -> str:
    """Return where a run of retention lists some of the tags that it takes away."""
    return f"{retention_report(run)}/{number:06}"


def retention_summary(run: int) -> str:
    """Return where a run of retention says, at its end, what it has done."""
    return f"{retention_report(run)}/summary"


def retention_restored(name: str) -> str:
    """Return where it is noted of some tags that were given back when they had been pushed."""
    return f"{RETENTION_RESTORED}/{name}"


def pulls_of_day(day: str) -> str:
    """Return the prefix below which the pulls lie that were noted on `day`, ``YYYYMMDD``, and not folded yet."""
    return f"{PULLS}/{day}"


def pulls_batch(day: str, name: str) -> str:
    """Return where a process has noted pulls."""
    return f"{pulls_of_day(day)}/{name}"


def folded_pulls(folding: str) -> str:
    """Return the prefix below which the pulls lie that were folded at one time."""
    return f"{PULLS_FOLDED}/{folding}"


def folded_part(folding: str, number: int) -> str:
    """Return where a part of the folded pulls lies."""
    return f"{folded_pulls(folding)}/{number:06}"


def folded_whole(folding: str) -> str:
    """Return where it is said that all parts of a folding are there."""
    return f"{folded_pulls(folding)}/whole"


def usage(group: str) -> str:
    """Return the prefix of what is kept of the repositories of a quota; `group` is its label."""
    return f"{USAGE}/{group}"


def usage_base(group: str) -> str:
    """Return where it is kept how much the repositories of a quota had when they were counted."""
    return f"{usage(group)}/base"


def all_usage_added(group: str) -> str:
    """Return the prefix below which each name is a process that has added to the repositories of a quota."""
    return f"{usage(group)}/added"


def usage_added(group: str, process: str) -> str:
    """Return where a process says how much it has added to the repositories of a quota."""
    return f"{all_usage_added(group)}/{process}"


def label(name: str) -> str:
    """Return a component for `name`, which is any text: what can be read of it, and a hash, so that no two collide."""
    readable = re.sub("[^A-Za-z0-9_-]+", "-", name)[:_READABLE].strip("-") or "unnamed"
    return f"{readable}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:16]}"


def cursor(name: str) -> str:
    """Return where the consumer of the journal called `name`, which is any text, remembers where it stands."""
    return f"{CURSORS}/{label(name)}"


def dead_letters(endpoint: str) -> str:
    """Return the prefix below which each name is a dead letter of an endpoint, which is called by any text."""
    return f"{DEAD_LETTERS}/{label(endpoint)}"


def dead_letter(endpoint: str, time_ns: int, index: int, event_id: str) -> str:
    """Return where an event is kept that an endpoint has not taken.

    Those of an endpoint sort by `time_ns`, in nanoseconds since 1970, and by `index` among the events of an entry.
    """
    return f"{dead_letters(endpoint)}/{time_ns:019}-{index:09}-{event_id}"


def lease(name: str) -> str:
    """Return the prefix below which each name is a term in which somebody holds the lease called `name`."""
    return f"{LEASES}/{name}"


def lease_epoch(name: str, epoch: int) -> str:
    """Return where the holder of a lease in a term says that it lives; later terms sort behind."""
    return f"{lease(name)}/{epoch:012}"


def blob_prefixes(algorithm: str) -> str:
    """Return the prefix below which each name is the first two digits of the hex of blobs' digests."""
    return f"{BLOBS}/{algorithm}"


def blobs(algorithm: str, prefix: str) -> str:
    """Return the prefix below which each name is the hex of a blob's digest that begins with `prefix`."""
    return f"{blob_prefixes(algorithm)}/{prefix}"


def blob_data(digest: Digest) -> str:
    """Return where the bytes of a layer, config or manifest lie."""
    # Spelt out and not taken from blobs(): a push of a manifest asks for the path of each blob that it names.
    return f"{BLOBS}/{digest.algorithm}/{digest.hex[:2]}/{digest.hex}/{DATA}"


def repository(name: str) -> str:
    """Return the prefix of a repository; repositories nest, so others may lie below."""
    return f"{REPOSITORIES}/{name}"


def all_layers(name: str) -> str:
    """Return the prefix of a repository's links to blobs."""
    return f"{REPOSITORIES}/{name}/{LAYERS}"


def layers(name: str, algorithm: str) -> str:
    """Return the prefix below which each name is the hex of a blob's digest."""
    return f"{all_layers(name)}/{algorithm}"


def layer_link(name: str, digest: Digest) -> str:
    """Return the link that lets a repository serve a blob."""
    return f"{layers(name, digest.algorithm)}/{digest.hex}/{LINK}"


def manifests(name: str) -> str:
    """Return the prefix of a repository's manifests and tags: something lies there if the repository exists."""
    return f"{REPOSITORIES}/{name}/{MANIFESTS}"


def revisions(name: str, algorithm: str) -> str:
    """Return the prefix below which each name is the hex of a manifest's digest."""
    return f"{REPOSITORIES}/{name}/{REVISIONS}/{algorithm}"


def revision_link(name: str, digest: Digest) -> str:
    """Return the link that lets a repository serve a manifest."""
    return f"{revisions(name, digest.algorithm)}/{digest.hex}/{LINK}"


def tags(name: str) -> str:
    """Return the prefix below which each name is a tag."""
    return f"{REPOSITORIES}/{name}/{TAGS}"


def tag_directory(name: str, tag: str) -> str:
    """Return the prefix of all that is known of a tag."""
    return f"{tags(name)}/{tag}"


def tag_link(name: str, tag: str) -> str:
    """Return the link that says what a tag points to."""
    return f"{tags(name)}/{tag}/current/{LINK}"


def tag_at(name: str, path: str) -> str | None:
    """Return the tag of the repository `name` whose link lies at `path`; None if that is another object."""
    tag = path.removeprefix(f"{tags(name)}/").partition("/")[0]
    return tag if path == tag_link(name, tag) else None


def all_tag_history(name: str, tag: str) -> str:
    """Return the prefix of all that is remembered of where a tag has pointed to."""
    return f"{tags(name)}/{tag}/index"


def tag_history(name: str, tag: str, algorithm: str) -> str:
    """Return the prefix below which each name is the hex of a digest that a tag has pointed to."""
    return f"{all_tag_history(name, tag)}/{algorithm}"


def tag_history_link(name: str, tag: str, digest: Digest) -> str:
    """Return the link that remembers that a tag once pointed to `digest`."""
    return f"{tag_history(name, tag, digest.algorithm)}/{digest.hex}/{LINK}"


def condemned(name: str) -> str:
    """Return the prefix of the links of a repository that a garbage collection has condemned."""
    return f"{REPOSITORIES}/{name}/{CONDEMNED}"


def condemned_layer_link(name: str, digest: Digest) -> str:
    """Return where the link to a blob lies that was condemned."""
    return f"{condemned(name)}/{LAYERS}/{digest.algorithm}/{digest.hex}/{LINK}"


def condemned_revision_link(name: str, digest: Digest) -> str:
    """Return where the link to a manifest lies that was condemned."""
    return f"{condemned(name)}/{REVISIONS}/{digest.algorithm}/{digest.hex}/{LINK}"


def uploads(name: str) -> str:
    """Return the prefix below which each name is the id of an upload session."""
    return f"{REPOSITORIES}/{name}/{UPLOADS}"


def upload_directory(name: str, upload_id: str) -> str:
    """Return the prefix of an upload session."""
    return f"{uploads(name)}/{upload_id}"


def upload_data(name: str, upload_id: str) -> str:
    """Return where the bytes of an upload grow."""
    return f"{upload_directory(name, upload_id)}/data"


def upload_started_at(name: str, upload_id: str) -> str:
    """Return the object whose existence is the session's and whose text is its age."""
    return f"{upload_directory(name, upload_id)}/startedat"


def upload_verified(name: str, upload_id: str) -> str:
    """Return the link that remembers the digest of an upload whose content was read back."""
    return f"{upload_directory(name, upload_id)}/verified"


def all_referrers(name: str) -> str:
    """Return the prefix of a repository's index of referrers."""
    return f"{REPOSITORIES}/{name}/{REFERRERS}"


def subjects(name: str, algorithm: str) -> str:
    """Return the prefix below which each name is the hex of a digest that has referrers."""
    return f"{all_referrers(name)}/subjects/{algorithm}"


def referrers(name: str, subject: Digest) -> str:
    """Return the prefix of all referrers of `subject`; each name below it is an algorithm."""
    return f"{subjects(name, subject.algorithm)}/{subject.hex}"


def referrers_by(name: str, subject: Digest, algorithm: str) -> str:
    """Return the prefix below which each name is the hex of the digest of a referrer of `subject`."""
    return f"{referrers(name, subject)}/{algorithm}"


def referrer(name: str, subject: Digest, digest: Digest) -> str:
    """Return the prefix of all that is known of the referrer `digest` of `subject`."""
    return f"{referrers_by(name, subject, digest.algorithm)}/{digest.hex}"


def referrer_link(name: str, subject: Digest, digest: Digest) -> str:
    """Return the link that says the manifest `digest` names `subject`."""
    return f"{referrer(name, subject, digest)}/{LINK}"


def referrer_descriptor(name: str, subject: Digest, digest: Digest) -> str:
    """Return the object that holds the descriptor of a referrer, as it stands in lists."""
    return f"{referrer(name, subject, digest)}/descriptor"


def proxy(name: str) -> str:
    """Return the prefix of what is remembered of another registry that the repository caches."""
    return f"{REPOSITORIES}/{name}/{PROXY}"


def proxied_tags(name: str) -> str:
    """Return the prefix below which each name is a tag that the repository has of another registry."""
    return f"{proxy(name)}/tags"


def proxied_tag(name: str, tag: str) -> str:
    """Return where it is remembered what another registry has said a tag points to, and when."""
    return f"{proxied_tags(name)}/{tag}"


def proxied_referrers(name: str, subject: Digest) -> str:
    """Return where it is remembered what another registry has listed as the referrers of `subject`, and when."""
    return f"{proxy(name)}/referrers/{subject.algorithm}/{subject.hex}"


def fetched_manifest(name: str, digest: Digest) -> str:
    """Return the object that says that a manifest was fetched, in a repository to which others are pushed."""
    return f"{proxy(name)}/manifests/{digest.algorithm}/{digest.hex}"


def copy_data(digest: Digest) -> str:
    """Return where a blob grows that is copied from another storage."""
    return f"{COPIES}/{digest.algorithm}/{digest.hex}/data"


def quarantine(digest: Digest) -> str:
    """Return where bytes are kept that lay where those of `digest` belong and do not have it."""
    return f"{QUARANTINE}/{digest.algorithm}/{digest.hex}"


def quarantine_arriving(digest: Digest) -> str:
    """Return where such bytes grow while they are moved."""
    return f"{QUARANTINE_ARRIVING}/{digest.algorithm}/{digest.hex}/data"


def prefetched(entry: str) -> str:
    """Return the object whose time is when the images of an entry of ``prefetch`` were fetched; `entry` is its hash."""
    return f"/registry/proxy/prefetch/{entry}"


def prefetch_claim(entry: str) -> str:
    """Return what the process has claimed that fetches them."""
    return f"{prefetched(entry)}-claim"


def fills(upstream: str, algorithm: str) -> str:
    """Return the prefix below which each name is the hex of the digest of a blob that is fetched from `upstream`."""
    return f"{FILLS}/{upstream}/{algorithm}"


def fill(upstream: str, digest: Digest) -> str:
    """Return the prefix of all that is kept while a blob is fetched from `upstream`."""
    return f"{fills(upstream, digest.algorithm)}/{digest.hex}"


def fill_claim(upstream: str, digest: Digest) -> str:
    """Return what the process has claimed that fetches the blob."""
    return f"{fill(upstream, digest)}/claim"


def fill_about(upstream: str, digest: Digest) -> str:
    """Return the object that says what is fetched."""
    return f"{fill(upstream, digest)}/about"


def fill_data(upstream: str, digest: Digest) -> str:
    """Return where the bytes of the blob grow."""
    return f"{fill(upstream, digest)}/data"
