"""The size of a scrape does not depend on what the registry holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.serving import serving, wait_until

if TYPE_CHECKING:
    from pathlib import Path

REPOSITORIES = 100_000


def test_scrape_of_100000_repositories_is_no_larger(tmp_path: Path) -> None:
    with serving(tmp_path, {"http": {"workers": 1}}) as server:
        repositories = tmp_path / "root/docker/registry/v2/repositories"
        (repositories / "team-0/app-0/_manifests/tags/latest").mkdir(parents=True)
        for path, status in (("_catalog", 200), ("team-0/app-0/tags/list", 200), ("team-0/none/tags/list", 404)):
            assert server.get(f"/v2/{path}").status == status
        wait_until(
            "all are counted", lambda: server.debug("/metrics").body.count(b"\nregistry_http_requests_total{") == 3
        )
        before = server.debug("/metrics").body
        for number in range(REPOSITORIES):
            (repositories / f"team-{number % 100}/app-{number}/_manifests/tags/latest").mkdir(
                parents=True, exist_ok=True
            )
        answer = server.get("/v2/_catalog?n=1000")
        assert answer.status == 200
        assert answer.body.count(b"app-") == 1000
        for number in range(0, REPOSITORIES, 100):
            assert server.get(f"/v2/team-0/app-{number}/tags/list").status == 200
        after = server.debug("/metrics").body
    # Background work (a check of the storage, a purge) may add a few series of its own meanwhile.
    assert len(after.splitlines()) - len(before.splitlines()) < REPOSITORIES / 1000
    assert b"app-" not in after
    print(f"scrape: {len(before)} bytes before, {len(after)} bytes with {REPOSITORIES} repositories")
