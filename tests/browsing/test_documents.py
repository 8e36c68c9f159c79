"""What is told of attached documents."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.browsing.documents import explain
from registry.browsing.sbom import Package
from registry.browsing.untrusted import LARGEST, MOST_VALUES
from tests.browsing import attached
from tests.browsing.attached import encoded, envelope, statement

_SPDX = "https://spdx.dev/Document"
_SLSA = "https://slsa.dev/provenance/"
_COSIGN_VULN = "https://cosign.sigstore.dev/attestation/vuln/v1"


@pytest.mark.parametrize(
    ("document", "form", "packages"),
    [
        (
            attached.SPDX_2,
            "SPDX 2.3",
            [
                Package("openssl", "3.0.15-1", "pkg:deb/debian/openssl@3.0.15-1?arch=amd64", "Apache-2.0"),
                Package("zlib1g", "1:1.2.13", "", "Zlib"),
            ],
        ),
        (
            attached.SPDX_3,
            "SPDX 3.0.1",
            [
                Package("openssl", "3.0.15-1", "pkg:deb/debian/openssl@3.0.15-1", "MIT"),
                Package("zlib", "", "pkg:generic/zlib@1.2", "Zlib"),
            ],
        ),
        (
            attached.CYCLONEDX,
            "CycloneDX 1.6",
            [
                Package("@babel/core", "7.1.0", "pkg:npm/%40babel/core@7.1.0", "MIT, Apache-2.0 OR MIT"),
                Package("inner", "1"),
            ],
        ),
    ],
    ids=["SPDX 2", "SPDX 3", "CycloneDX"],
)
def test_a_bill_of_materials_tells_its_packages(document: object, form: str, packages: list[Package]) -> None:
    told = explain(encoded(document))

    assert told.kind == "sbom"
    assert told.bill is not None
    assert (told.bill.form, [*told.bill.packages], told.bill.cut) == (form, packages, False)
    assert told.bill.created == "2026-01-02T03:04:05Z"


def test_a_bill_with_a_byte_order_mark_is_read() -> None:
    assert explain(b"\xef\xbb\xbf" + encoded(attached.SPDX_2)).kind == "sbom"


def test_the_version_is_no_part_of_what_a_package_is() -> None:
    assert Package("core", "7", "pkg:npm/%40babel/core@7?x=y#z").identity == "pkg:npm/%40babel/core"
    assert Package("core", "7", "pkg:npm/@babel/core@7").identity == "pkg:npm/%40babel/core"
    assert Package("core", "7").identity == "core"


@pytest.mark.parametrize(
    ("document", "scanner", "counts", "first"),
    [
        (
            attached.CYCLONEDX_VULNERABILITIES,
            "trivy 0.58.1",
            {"critical": 1, "high": 1},
            ("CVE-2026-1", "core", "7.1.0"),
        ),
        (attached.SARIF, "Trivy 0.58", {"critical": 1, "medium": 1, "low": 1}, ("CVE-2026-1", "", "")),
        (attached.TRIVY, "Trivy", {"high": 1, "unknown": 1}, ("CVE-2026-1", "openssl", "3.0.15-1")),
        (attached.GRYPE, "grype 0.87", {"low": 1, "negligible": 1}, ("CVE-2026-2", "zlib", "1")),
        (attached.OPENVEX, "A team", {"unknown": 1}, ("CVE-2026-2", "pkg:oci/app", "")),
    ],
    ids=["CycloneDX", "SARIF", "Trivy", "Grype", "OpenVEX"],
)
def test_vulnerabilities_are_counted_once_each_and_by_severity_and_the_worst_come_first(
    document: object, scanner: str, counts: dict[str, int], first: tuple[str, str, str]
) -> None:
    found = explain(encoded(document)).vulnerabilities

    assert found is not None
    assert (found.scanner, [*found.counts.items()]) == (scanner, [*counts.items()])
    assert (found.found[0].name, found.found[0].package, found.found[0].version) == first


def test_what_a_document_rules_out_is_not_counted_and_said() -> None:
    found = [explain(encoded(each)).vulnerabilities for each in (attached.CYCLONEDX_VULNERABILITIES, attached.OPENVEX)]

    assert [each and each.ruled_out for each in found] == [1, 1]


@pytest.mark.parametrize("result", [attached.TRIVY, attached.GRYPE, attached.SARIF], ids=["Trivy", "Grype", "SARIF"])
def test_the_result_of_a_scan_may_be_in_a_predicate_of_cosign(result: object) -> None:
    scan = {"scanner": {"uri": "pkg:github/scanner", "result": result}, "metadata": {"scanFinishedOn": "2026-02-02"}}
    told = explain(encoded(envelope(statement(_COSIGN_VULN, scan))))

    assert (told.kind, told.predicate_type) == ("vulnerabilities", _COSIGN_VULN)
    assert told.vulnerabilities is not None
    assert (told.vulnerabilities.scanner, told.vulnerabilities.created) == ("pkg:github/scanner", "2026-02-02")
    assert told.vulnerabilities.total >= 2


def test_vulnerabilities_as_in_toto_spells_them_have_the_worst_of_their_scores() -> None:
    severity = [{"method": "cvss", "score": "5.0"}, {"method": "other", "score": "9.1"}]
    scan = {"scanner": {"uri": "a scanner", "result": [{"id": "CVE-2026-1", "severity": severity}]}}
    found = explain(encoded(statement("https://in-toto.io/attestation/vulns/v0.1", scan))).vulnerabilities

    assert found is not None
    assert found.counts == {"critical": 1}


def test_a_provenance_of_a_build_tool_tells_source_and_revision_and_materials() -> None:
    told = explain(encoded(statement(f"{_SLSA}v0.2", attached.BUILDKIT_PROVENANCE))).provenance

    assert told is not None
    assert (told.version, told.builder, told.source) == ("v0.2", "https://ci.example/runs/7", "https://git.example/app")
    assert told.revision == "d" * 40
    assert [each.digest for each in told.materials] == [f"sha256:{'a' * 64}", f"sha1:{'c' * 40}"]


def test_a_provenance_without_what_only_one_tool_writes_has_the_source_of_its_configuration() -> None:
    predicate = copy.deepcopy(attached.BUILDKIT_PROVENANCE)
    del predicate["metadata"]
    told = explain(encoded(statement(f"{_SLSA}v0.2", predicate))).provenance

    assert told is not None
    assert (told.source, told.revision) == ("https://git.example/app.git#main", "c" * 40)


def test_a_provenance_of_version_1_finds_the_revision_in_its_dependencies() -> None:
    told = explain(encoded(statement(f"{_SLSA}v1", attached.PROVENANCE_1))).provenance

    assert told is not None
    assert (told.version, told.builder) == ("v1", "https://git.example/runner")
    assert (told.source, told.revision) == ("https://git.example/app", "e" * 40)


@pytest.mark.parametrize(
    "wrap", [lambda predicate: predicate, lambda predicate: {"Data": json.dumps(predicate)}], ids=["object", "text"]
)
def test_a_statement_in_an_envelope_tells_what_is_in_it(wrap: Any) -> None:
    told = explain(encoded(envelope(statement(_SPDX, wrap(attached.SPDX_2)))))

    assert (told.kind, told.predicate_type) == ("sbom", _SPDX)
    assert told.subjects == (f"app sha256:{'b' * 64}",)
    assert told.bill is not None
    assert len(told.bill.packages) == 2


def test_a_statement_of_which_nothing_is_known_says_its_type() -> None:
    told = explain(encoded(statement("https://example.org/review/v1", {"reviewed": True})))

    assert (told.kind, told.predicate_type, told.problem) == ("other", "https://example.org/review/v1", "")
    assert '"reviewed": true' in told.raw


def test_a_signature_of_cosign_tells_what_it_claims() -> None:
    certificate = attached.certificate("someone@example.org", "https://accounts.example")
    annotations = {
        "dev.cosignproject.cosign/signature": "c2ln",
        "dev.sigstore.cosign/certificate": attached.pem(certificate),
        "dev.sigstore.cosign/bundle": "{}",
    }
    told = explain(encoded(attached.simple_signing()), "application/vnd.dev.cosign.simplesigning.v1+json", annotations)

    assert told.kind == "signature"
    assert told.signature is not None
    assert (told.signature.signer, told.signature.issuer) == ("someone@example.org", "https://accounts.example")
    assert told.signature.signs == f"registry.example/app@sha256:{'b' * 64}"
    assert told.signature.is_logged


def test_a_signature_of_cosign_with_a_key_has_nobody_who_claims_it() -> None:
    told = explain(encoded(attached.simple_signing()), "", {"dev.cosignproject.cosign/signature": "c2ln"}).signature

    assert told is not None
    assert (told.signer, told.issuer, told.is_logged) == ("", "", False)


def test_a_bundle_of_sigstore_has_both_a_signature_and_what_is_signed() -> None:
    certificate = attached.certificate("someone@example.org", "https://accounts.example")
    bundle = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"certificate": {"rawBytes": attached.der(certificate)}, "tlogEntries": [{}]},
        "dsseEnvelope": envelope(statement(f"{_SLSA}v1", attached.PROVENANCE_1)),
    }
    told = explain(encoded(bundle))

    assert (told.kind, told.provenance is not None) == ("provenance", True)
    assert told.signature is not None
    assert (told.signature.signer, told.signature.is_logged) == ("someone@example.org", True)


def test_a_signature_of_notation_names_whom_its_certificate_names() -> None:
    certificate = attached.certificate("builds@example.org", "https://accounts.example")
    jws = {
        "payload": "e30",
        "protected": "e30",
        "signature": "c2ln",
        "header": {"x5c": [attached.der(certificate)], "io.cncf.notary.signingAgent": "notation-go/1.3.0"},
    }
    told = explain(encoded(jws), "application/jose+json").signature

    assert told is not None
    assert (told.tool, told.signer) == ("notation-go/1.3.0", "builds@example.org")


def test_a_signature_in_cbor_is_present() -> None:
    told = explain(b"\xd2\x84\x43\xa1\x01", "application/vnd.cncf.notary.signature")

    assert (told.kind, told.problem) == ("signature", "")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\x00\x01", "is not JSON"),
        (b"[" * 200_000, "is nested too deeply"),
        (
            b"[" + b"0," * MOST_VALUES + b"0]",
            f"has more values than are read of one attachment, which are {MOST_VALUES}",
        ),
        (b" " * (LARGEST + 1), "has more than 8 MiB"),
        (encoded({"payloadType": "x", "payload": "e"}), "has an envelope whose content is not JSON"),
        (encoded(statement(_SPDX, {"Data": "SPDXVersion: SPDX-2.3"})), "has a predicate that is not JSON"),
    ],
    ids=["binary", "deep", "many values", "large", "envelope", "predicate"],
)
def test_what_cannot_be_read_is_said(content: bytes, problem: str) -> None:
    assert explain(content).problem == problem


def test_lists_are_cut_and_that_is_said() -> None:
    many = {**attached.SPDX_2, "packages": [{"name": f"package-{number}"} for number in range(20_001)]}
    told = explain(encoded(many)).bill

    assert told is not None
    assert (len(told.packages), told.cut) == (20_000, True)


def test_a_document_of_one_line_is_shown_in_lines_and_a_deep_one_is_cut() -> None:
    assert explain(b'{"a":[1]}').raw == '{\n  "a": [\n    1\n  ]\n}'
    assert len(explain(b"[" * 400 + b"1," * 100_000 + b"1" + b"]" * 400).raw) == 200_001


def test_what_a_terminal_or_a_browser_would_obey_is_escaped() -> None:
    told = explain(encoded({**attached.SPDX_2, "name": "\x1b[2J\u202egpj.exe\ud800<script>"}))

    assert told.bill is not None
    assert told.bill.name == "\\x1b[2J\\u202egpj.exe\\ud800<script>"
    assert told.raw.isascii()


def test_a_text_keeps_its_lines() -> None:
    told = explain("# Readme\r\n\tü \x1b".encode(), "text/markdown")

    assert (told.kind, told.raw, told.problem) == ("readme", "# Readme\n    ü \\u001b", "")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)
_REAL: list[Any] = [
    attached.SPDX_2,
    attached.SPDX_3,
    attached.CYCLONEDX_VULNERABILITIES,
    attached.SARIF,
    attached.TRIVY,
    attached.GRYPE,
    attached.OPENVEX,
    attached.simple_signing(),
    statement(f"{_SLSA}v0.2", attached.BUILDKIT_PROVENANCE),
    statement(f"{_SLSA}v1", attached.PROVENANCE_1),
    statement(_COSIGN_VULN, {"scanner": {"result": attached.GRYPE}}),
]


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_a_document_with_anything_in_any_place_is_explained(data: st.DataObject) -> None:
    document = copy.deepcopy(data.draw(st.sampled_from(_REAL)))
    place = document
    while True:
        key = data.draw(st.sampled_from([*(place if isinstance(place, dict) else range(len(place)))]))
        if not place[key] or not isinstance(place[key], (dict, list)) or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(_JSON)

    told = explain(encoded(document))
    in_envelope = explain(encoded(envelope(document)))

    told.raw.encode()
    assert in_envelope.bill == told.bill
    assert in_envelope.vulnerabilities == told.vulnerabilities


@given(st.binary(), st.sampled_from(["", "text/markdown", "application/json", "application/spdx+json"]))
def test_anything_is_explained(content: bytes, media_type: str) -> None:
    annotations = {"dev.sigstore.cosign/certificate": base64.b64encode(content).decode()}
    explain(content, media_type, annotations).raw.encode()
    explain(encoded({**attached.simple_signing(), "x": content.decode("latin-1")}), media_type, annotations)
