"""Documents as tools attach them to images."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SPDX_2: dict[str, Any] = {
    "spdxVersion": "SPDX-2.3",
    "name": "library/app",
    "creationInfo": {"created": "2026-01-02T03:04:05Z", "creators": ["Organization: Anchore", "Tool: syft-1.18.0"]},
    "packages": [
        {"name": "app", "SPDXID": "SPDXRef-root", "primaryPackagePurpose": "CONTAINER"},
        {
            "name": "openssl",
            "versionInfo": "3.0.15-1",
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": "Apache-2.0",
            "externalRefs": [
                {"referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:openssl"},
                {"referenceType": "purl", "referenceLocator": "pkg:deb/debian/openssl@3.0.15-1?arch=amd64"},
            ],
        },
        {"name": "zlib1g", "versionInfo": "1:1.2.13", "licenseConcluded": "Zlib"},
    ],
}

SPDX_3: dict[str, Any] = {
    "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
    "@graph": [
        {"type": "CreationInfo", "@id": "_:c", "created": "2026-01-02T03:04:05Z", "specVersion": "3.0.1"},
        {"type": "SpdxDocument", "spdxId": "urn:d", "name": "app"},
        {"type": "Tool", "spdxId": "urn:t", "name": "a scanner"},
        {
            "type": "software_Package",
            "spdxId": "urn:p1",
            "name": "openssl",
            "software_packageVersion": "3.0.15-1",
            "software_packageUrl": "pkg:deb/debian/openssl@3.0.15-1",
        },
        {
            "type": "software_Package",
            "spdxId": "urn:p2",
            "name": "zlib",
            "externalIdentifier": [{"externalIdentifierType": "packageUrl", "identifier": "pkg:generic/zlib@1.2"}],
        },
        {"type": "simplelicensing_LicenseExpression", "spdxId": "urn:l1", "simplelicensing_licenseExpression": "MIT"},
        {"type": "simplelicensing_LicenseExpression", "spdxId": "urn:l2", "simplelicensing_licenseExpression": "Zlib"},
        {"type": "Relationship", "relationshipType": "hasConcludedLicense", "from": "urn:p1", "to": ["urn:l1"]},
        {"type": "Relationship", "relationshipType": "hasDeclaredLicense", "from": "urn:p1", "to": ["urn:l2"]},
        {"type": "Relationship", "relationshipType": "hasDeclaredLicense", "from": "urn:p2", "to": ["urn:l2"]},
    ],
}

CYCLONEDX: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {
        "timestamp": "2026-01-02T03:04:05Z",
        "tools": {"components": [{"type": "application", "name": "trivy", "version": "0.58.1"}]},
        "component": {"type": "container", "name": "registry.example/app:1"},
    },
    "components": [
        {
            "type": "library",
            "bom-ref": "c1",
            "group": "@babel",
            "name": "core",
            "version": "7.1.0",
            "purl": "pkg:npm/%40babel/core@7.1.0",
            "licenses": [{"license": {"id": "MIT"}}, {"expression": "Apache-2.0 OR MIT"}],
            "components": [{"type": "library", "name": "inner", "version": "1"}],
        },
        {"type": "file", "name": "/etc/passwd"},
    ],
}

CYCLONEDX_VULNERABILITIES: dict[str, Any] = {
    **CYCLONEDX,
    "vulnerabilities": [
        {
            "id": "CVE-2026-1",
            "ratings": [{"severity": "medium"}, {"severity": "critical"}],
            "affects": [{"ref": "c1"}],
            "description": "It is <b>bad</b>.",
        },
        {"id": "CVE-2026-2", "ratings": [{"severity": "none", "score": 7.5}], "affects": [{"ref": "pkg:deb/x"}]},
        {"id": "CVE-2026-3", "ratings": [{"severity": "high"}], "analysis": {"state": "not_affected"}},
    ],
}

SARIF: dict[str, Any] = {
    "version": "2.1.0",
    "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
    "runs": [
        {
            "tool": {
                "driver": {
                    "name": "Trivy",
                    "version": "0.58",
                    "rules": [
                        {
                            "id": "CVE-2026-1",
                            "shortDescription": {"text": "an overflow"},
                            "properties": {"security-severity": "9.8"},
                        },
                        {"id": "CVE-2026-2", "defaultConfiguration": {"level": "note"}},
                    ],
                },
            },
            "results": [
                {"ruleId": "CVE-2026-1", "level": "error"},
                {"ruleId": "CVE-2026-1", "level": "error"},
                {"ruleId": "CVE-2026-2"},
                {"ruleId": "CVE-2026-3", "message": {"text": "what no rule tells of"}},
            ],
        },
    ],
}

TRIVY: dict[str, Any] = {
    "SchemaVersion": 2,
    "CreatedAt": "2026-01-02T03:04:05Z",
    "Results": [
        {
            "Target": "debian 12",
            "Vulnerabilities": [
                {
                    "VulnerabilityID": "CVE-2026-1",
                    "PkgName": "openssl",
                    "InstalledVersion": "3.0.15-1",
                    "FixedVersion": "3.0.16-1",
                    "Severity": "HIGH",
                    "Title": "openssl: an overflow",
                },
                {"VulnerabilityID": "CVE-2026-2", "PkgName": "zlib1g", "Severity": "UNKNOWN"},
            ],
        },
        {"Target": "no vulnerabilities here"},
    ],
}

GRYPE: dict[str, Any] = {
    "descriptor": {"name": "grype", "version": "0.87", "timestamp": "2026-01-02T03:04:05Z"},
    "matches": [
        {
            "vulnerability": {"id": "CVE-2026-1", "severity": "Negligible", "fix": {"versions": ["3.0.16"]}},
            "artifact": {"name": "openssl", "version": "3.0.15"},
        },
        {"vulnerability": {"id": "CVE-2026-2", "severity": "Low"}, "artifact": {"name": "zlib", "version": "1"}},
    ],
}

OPENVEX: dict[str, Any] = {
    "@context": "https://openvex.dev/ns/v0.2.0",
    "author": "A team",
    "timestamp": "2026-01-02T03:04:05Z",
    "statements": [
        {"vulnerability": {"name": "CVE-2026-1"}, "status": "not_affected", "products": [{"@id": "pkg:oci/app"}]},
        {
            "vulnerability": {"name": "CVE-2026-2"},
            "status": "under_investigation",
            "products": [{"@id": "pkg:oci/app"}],
        },
    ],
}

BUILDKIT_PROVENANCE: dict[str, Any] = {
    "builder": {"id": "https://ci.example/runs/7"},
    "buildType": "https://mobyproject.org/buildkit@v1",
    "materials": [
        {"uri": "pkg:docker/alpine@3.21?platform=linux%2Famd64", "digest": {"sha256": "a" * 64}},
        {"uri": "https://git.example/app.git#main", "digest": {"sha1": "c" * 40}},
    ],
    "invocation": {"configSource": {"uri": "https://git.example/app.git#main", "digest": {"sha1": "c" * 40}}},
    "metadata": {
        "buildStartedOn": "2026-01-02T03:04:05Z",
        "buildFinishedOn": "2026-01-02T03:05:05Z",
        "https://mobyproject.org/buildkit@v1#metadata": {
            "vcs": {"source": "https://git.example/app", "revision": "d" * 40},
        },
    },
}

PROVENANCE_1: dict[str, Any] = {
    "buildDefinition": {
        "buildType": "https://actions.github.io/buildtypes/workflow/v1",
        "externalParameters": {
            "workflow": {"ref": "refs/heads/main", "repository": "https://git.example/app", "path": "ci.yml"},
        },
        "resolvedDependencies": [
            {"uri": "git+https://git.example/app@refs/heads/main", "digest": {"gitCommit": "e" * 40}},
        ],
    },
    "runDetails": {
        "builder": {"id": "https://git.example/runner"},
        "metadata": {"startedOn": "2026-01-02T03:04:05Z", "finishedOn": "2026-01-02T03:05:05Z"},
    },
}


def encoded(document: object) -> bytes:
    return json.dumps(document).encode()


def statement(predicate_type: str, predicate: object) -> dict[str, Any]:
    return {
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": predicate_type,
        "subject": [{"name": "app", "digest": {"sha256": "b" * 64}}],
        "predicate": predicate,
    }


def envelope(document: object) -> dict[str, Any]:
    payload = base64.b64encode(encoded(document)).decode()
    return {"payloadType": "application/vnd.in-toto+json", "payload": payload, "signatures": [{"sig": "c2ln"}]}


def certificate(address: str, issuer: str) -> x509.Certificate:
    """Return a certificate as the authority of sigstore issues them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sigstore-intermediate")])
    begin = datetime(2026, 1, 2, tzinfo=UTC)
    told = b"\x0c" + bytes([len(issuer)]) + issuer.encode()
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(minutes=10))
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=True)
        .add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8"), told), critical=False)
        .sign(key, hashes.SHA256())
    )


def pem(read: x509.Certificate) -> str:
    return read.public_bytes(serialization.Encoding.PEM).decode()


def der(read: x509.Certificate) -> str:
    return base64.b64encode(read.public_bytes(serialization.Encoding.DER)).decode()


def simple_signing() -> dict[str, Any]:
    return {
        "critical": {
            "identity": {"docker-reference": "registry.example/app"},
            "image": {"docker-manifest-digest": f"sha256:{'b' * 64}"},
            "type": "cosign container image signature",
        },
        "optional": None,
    }
