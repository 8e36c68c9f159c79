from __future__ import annotations

import ast
import inspect
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import registry
from drivers.base import checked_path
from registry.oci.digest import Digest
from registry.storage import names, parts, paths

if TYPE_CHECKING:
    from collections.abc import Iterator

SHA256 = Digest.of(b"")
SHA512 = Digest.of(b"", "sha512")
HEX = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
HEX512 = (
    "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
    "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
)
ID = "5a7d3c1e-0f6b-4a52-9d6e-2b1c3d4e5f60"
BLOBS = "/docker/registry/v2/blobs"
TEAM_APP = "/docker/registry/v2/repositories/team/app"

WRITTEN_BY_THE_GO_REGISTRY = {
    paths.blob_prefixes("sha256"): f"{BLOBS}/sha256",
    paths.blobs("sha256", "e3"): f"{BLOBS}/sha256/e3",
    paths.below(BLOBS, "sha256"): f"{BLOBS}/sha256",
    paths.blob_data(SHA256): f"{BLOBS}/sha256/e3/{HEX}/data",
    paths.blob_data(SHA512): f"{BLOBS}/sha512/cf/{HEX512}/data",
    paths.repository("team/app"): TEAM_APP,
    paths.all_layers("team/app"): f"{TEAM_APP}/_layers",
    paths.layers("team/app", "sha256"): f"{TEAM_APP}/_layers/sha256",
    paths.layer_link("team/app", SHA256): f"{TEAM_APP}/_layers/sha256/{HEX}/link",
    paths.layer_link("team/app", SHA512): f"{TEAM_APP}/_layers/sha512/{HEX512}/link",
    paths.manifests("team/app"): f"{TEAM_APP}/_manifests",
    paths.revisions("team/app", "sha256"): f"{TEAM_APP}/_manifests/revisions/sha256",
    paths.revision_link("team/app", SHA256): f"{TEAM_APP}/_manifests/revisions/sha256/{HEX}/link",
    paths.tags("team/app"): f"{TEAM_APP}/_manifests/tags",
    paths.tag_directory("team/app", "v1.0"): f"{TEAM_APP}/_manifests/tags/v1.0",
    paths.tag_link("team/app", "v1.0"): f"{TEAM_APP}/_manifests/tags/v1.0/current/link",
    paths.all_tag_history("team/app", "v1.0"): f"{TEAM_APP}/_manifests/tags/v1.0/index",
    paths.tag_history("team/app", "v1.0", "sha256"): f"{TEAM_APP}/_manifests/tags/v1.0/index/sha256",
    paths.tag_history_link("team/app", "v1.0", SHA256): f"{TEAM_APP}/_manifests/tags/v1.0/index/sha256/{HEX}/link",
    paths.uploads("team/app"): f"{TEAM_APP}/_uploads",
    paths.upload_directory("team/app", ID): f"{TEAM_APP}/_uploads/{ID}",
    paths.upload_data("team/app", ID): f"{TEAM_APP}/_uploads/{ID}/data",
    paths.upload_started_at("team/app", ID): f"{TEAM_APP}/_uploads/{ID}/startedat",
}
OUR_OWN = {
    paths.auth_record("keys/a/b"): "/registry/auth/keys/a/b",
    paths.cluster_member("host-1"): "/registry/cluster/host-1",
    paths.cursor("ci"): "/registry/journal/cursors/ci-1b158839f8aa339e",
    paths.dead_letter("ci", 7, 3, ID): f"/registry/journal/dead/ci-1b158839f8aa339e/0000000000000000007-000000003-{ID}",
    paths.lease("journal"): "/registry/leases/journal",
    paths.lease_epoch("journal", 7): "/registry/leases/journal/000000000007",
    paths.GC_RUN: "/registry/gc/run",
    paths.gc_notice("1-a"): "/registry/gc/notices/1-a",
    paths.gc_report(7): "/registry/gc/reports/000000000007.json",
    paths.gc_orphans(7): "/registry/gc/orphans/000000000007",
    paths.gc_orphans_part(7, 3): "/registry/gc/orphans/000000000007/000003",
    paths.condemned("team/app"): f"{TEAM_APP}/_condemned",
    paths.condemned_layer_link("team/app", SHA256): f"{TEAM_APP}/_condemned/_layers/sha256/{HEX}/link",
    paths.condemned_revision_link("team/app", SHA256): (
        f"{TEAM_APP}/_condemned/_manifests/revisions/sha256/{HEX}/link"
    ),
    paths.proxied_tag("team/app", "v1"): f"{TEAM_APP}/_proxy/tags/v1",
    paths.fetched_manifest("team/app", SHA256): f"{TEAM_APP}/_proxy/manifests/sha256/{HEX}",
    paths.prefetched("7-a"): "/registry/proxy/prefetch/7-a",
    paths.prefetch_claim("7-a"): "/registry/proxy/prefetch/7-a-claim",
    paths.EVICTION_CLAIM: "/registry/proxy/eviction/claim",
    paths.EVICTION_BEGUN: "/registry/proxy/eviction/begun",
    paths.EVICTION_ENDED: "/registry/proxy/eviction/ended",
    paths.EVICTION_WAITING: "/registry/proxy/eviction/waiting",
    paths.usage("team-7"): "/registry/usage/team-7",
    paths.usage_base("team-7"): "/registry/usage/team-7/base",
    paths.all_usage_added("team-7"): "/registry/usage/team-7/added",
    paths.usage_added("team-7", "host-1"): "/registry/usage/team-7/added/host-1",
    paths.AUDIT_HEAD: "/registry/audit/head",
    paths.audit_day("20261127"): "/registry/audit/20261127",
    paths.audit_segment("20261127", "000001.jsonl"): "/registry/audit/20261127/000001.jsonl",
    paths.audit_seen("host-1"): "/registry/audit/seen/host-1",
    paths.audit_told("syslog"): "/registry/audit/told/syslog",
    paths.SCRUB: "/registry/scrub",
    paths.fills("hub", "sha256"): "/registry/proxy/fills/hub/sha256",
    paths.FILLS: "/registry/proxy/fills",
    paths.fill("hub", SHA256): f"/registry/proxy/fills/hub/sha256/{HEX}",
    paths.fill_claim("hub", SHA256): f"/registry/proxy/fills/hub/sha256/{HEX}/claim",
    paths.fill_about("hub", SHA256): f"/registry/proxy/fills/hub/sha256/{HEX}/about",
    paths.fill_data("hub", SHA512): f"/registry/proxy/fills/hub/sha512/{HEX512}/data",
    paths.quarantine(SHA256): f"/registry/quarantine/sha256/{HEX}",
    paths.quarantine_arriving(SHA256): f"/registry/quarantine/arriving/sha256/{HEX}/data",
    paths.retention_report(7): "/registry/retention/reports/000000000007",
    paths.retention_begun(7): "/registry/retention/reports/000000000007/begun",
    paths.retention_part(7, 3): "/registry/retention/reports/000000000007/000003",
    paths.retention_summary(7): "/registry/retention/reports/000000000007/summary",
    paths.retention_restored("1-a"): "/registry/retention/restored/1-a",
    paths.PULLS_SINCE: "/registry/pulls/since",
    paths.pulls_of_day("20261127"): "/registry/pulls/20261127",
    paths.pulls_batch("20261127", "host-7-1"): "/registry/pulls/20261127/host-7-1",
    paths.folded_pulls("7-a"): "/registry/pulls/folded/7-a",
    paths.folded_part("7-a", 3): "/registry/pulls/folded/7-a/000003",
    paths.folded_whole("7-a"): "/registry/pulls/folded/7-a/whole",
    paths.proxied_tag("team/app", "v1.0"): f"{TEAM_APP}/_proxy/tags/v1.0",
    paths.proxied_referrers("team/app", SHA512): f"{TEAM_APP}/_proxy/referrers/sha512/{HEX512}",
    paths.copy_data(SHA256): f"/docker/registry/v2/copies/sha256/{HEX}/data",
    paths.upload_verified("team/app", ID): f"{TEAM_APP}/_uploads/{ID}/verified",
    paths.all_referrers("team/app"): f"{TEAM_APP}/_referrers",
    paths.referrers("team/app", SHA512): f"{TEAM_APP}/_referrers/subjects/sha512/{HEX512}",
    paths.referrers_by("team/app", SHA512, "sha256"): f"{TEAM_APP}/_referrers/subjects/sha512/{HEX512}/sha256",
    paths.referrer("team/app", SHA512, SHA256): f"{TEAM_APP}/_referrers/subjects/sha512/{HEX512}/sha256/{HEX}",
    paths.referrer_link("team/app", SHA512, SHA256): (
        f"{TEAM_APP}/_referrers/subjects/sha512/{HEX512}/sha256/{HEX}/link"
    ),
    paths.referrer_descriptor("team/app", SHA512, SHA256): (
        f"{TEAM_APP}/_referrers/subjects/sha512/{HEX512}/sha256/{HEX}/descriptor"
    ),
}


@pytest.mark.parametrize(("path", "golden"), [*WRITTEN_BY_THE_GO_REGISTRY.items(), *OUR_OWN.items()])
def test_every_path_is_where_the_go_registry_keeps_it_or_does_not_look(path: str, golden: str) -> None:
    assert path == golden
    assert checked_path(path) == path


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("ci", "ci"),
        ("CI", "CI"),
        ("team/ci.example:443", "team-ci-example-443"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("é\ud800\0\n", "unnamed"),
        ("x" * 500, "x" * 40),
    ],
)
def test_any_text_has_a_label_that_can_be_read_and_is_a_component(name: str, readable: str) -> None:
    label = paths.label(name)

    assert label.rpartition("-")[0] == readable
    assert names.is_labelled(label)
    assert checked_path(paths.cursor(name)) == paths.cursor(name)


def test_labels_of_different_names_differ_also_where_case_is_of_no_account() -> None:
    names = ["ci", "CI", "ci-1", "ci/1", "ci 1", "x" * 41, "x" * 42]

    assert len({paths.label(name).lower() for name in names}) == len(names)


@pytest.mark.parametrize(
    ("path", "tag"),
    [
        (paths.tag_link("team/app", "v1"), "v1"),
        (paths.tag_link("team/app", "current"), "current"),
        (paths.tag_history_link("team/app", "v1", SHA256), None),
        (paths.tag_link("team/app/more", "v1"), None),
        (paths.tag_directory("team/app", "v1"), None),
    ],
)
def test_tag_is_told_by_where_its_link_lies(path: str, tag: str | None) -> None:
    assert paths.tag_at("team/app", path) == tag


def test_every_function_that_spells_a_path_is_in_the_list() -> None:
    spelled = {name for name, _ in inspect.getmembers(paths, inspect.isfunction)}

    assert spelled <= {
        *{"all_layers", "all_referrers", "layers", "tag_history", "blob_prefixes", "blobs", "below", "subjects"},
        *{"blob_data", "repository", "layer_link", "manifests", "revisions", "revision_link"},
        *{"tags", "tag_directory", "tag_link", "tag_history_link", "uploads", "upload_directory", "upload_data"},
        *{"all_tag_history", "cluster_member", "copy_data", "upload_started_at", "upload_verified"},
        *{"fetched_manifest", "prefetched", "prefetch_claim"},
        *{"label", "cursor", "dead_letters", "dead_letter", "lease", "lease_epoch"},
        *{"auth_record", "quarantine", "quarantine_arriving"},
        *{"audit_day", "audit_segment", "audit_seen", "audit_told"},
        *{"usage", "usage_base", "all_usage_added", "usage_added"},
        *{"gc_notice", "gc_report", "gc_orphans", "gc_orphans_part"},
        *{"retention_report", "retention_begun", "retention_part", "retention_summary", "tag_at"},
        *{"retention_restored"},
        *{"fills", "fill", "fill_claim", "fill_about", "fill_data"},
        *{"proxy", "proxied_tags", "proxied_tag", "proxied_referrers"},
        *{"pulls_of_day", "pulls_batch", "folded_pulls", "folded_part", "folded_whole"},
        *{"condemned", "condemned_layer_link", "condemned_revision_link"},
        *{"referrers", "referrers_by", "referrer", "referrer_link", "referrer_descriptor"},
    }


SPELLED = re.compile(
    r"/docker/registry/v2|/registry/(?:cluster|journal|leases|audit|retention|pulls|usage)\b|\b_(?:layers|manifests|uploads|referrers)\b|/(?:link|data)$"
)
WITHOUT_STORAGE = {"server", "doctor", "http_client", "upstream", "web"}
"""Rooms whose paths are those of URLs and of local files."""
AUTHORS = {Path(inspect.getfile(module)) for module in (paths, parts)}
"""What spells paths, and what tells by a path what lies there."""
MODULES = sorted(
    path
    for path in Path(inspect.getfile(registry)).parent.rglob("*.py")
    if path not in AUTHORS and not WITHOUT_STORAGE & set(path.parts)
)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_other_module_spells_a_path_of_the_layout_or_joins_one(module: Path) -> None:
    found = list(path_spelled_in(ast.parse(module.read_text())))

    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        'f"{paths.CLUSTER}/{name}"',
        'f"{paths.referrers(name, subject)}/{algorithm}"',
        'f"{path}/{directory}"',
        'f"{tag_path}/current"',
        'paths.BLOBS + "/sha256"',
        'path + "/" + name',
        'path += f"/{name}"',
        '"/".join([paths.ROOT, "blobs"])',
        'root = "/docker/registry/v2/blobs"',
        'part = "_layers"',
    ],
)
def test_a_path_that_is_spelled_or_joined_is_found(source: str) -> None:
    assert list(path_spelled_in(ast.parse(source)))


def path_spelled_in(tree: ast.Module) -> Iterator[str]:
    """Yield the expressions that say where something lies in a storage, or that add to what says so."""
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and is_text(node.value)}
    for node in ast.walk(tree):
        joined = (
            (isinstance(node, ast.JoinedStr) and adds_to_a_path(node))
            or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and names_a_path(node.left))
            or (isinstance(node, ast.AugAssign) and names_a_path(node.target))
            or (isinstance(node, ast.Call) and ast.unparse(node.func) == "'/'.join" and names_a_path(node.args[0]))
        )
        spelled = id(node) not in documentation and is_text(node) and SPELLED.search(ast.literal_eval(node))
        if joined or spelled:
            yield ast.unparse(node)


def adds_to_a_path(node: ast.JoinedStr) -> bool:
    return any(
        isinstance(before, ast.FormattedValue)
        and names_a_path(before.value)
        and isinstance(after, ast.Constant)
        and str(after.value).startswith("/")
        for before, after in pairwise(node.values)
    )


def names_a_path(node: ast.AST) -> bool:
    """Tell whether an expression says that it gives a path: ``path``, ``upload_path``, ``paths.tags(name)``."""
    return re.search(r"\bpaths\.|\b(?:[a-z]+_)*path\b(?!\()", ast.unparse(node)) is not None


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
