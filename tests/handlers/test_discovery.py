"""GET /v2/_oci/ext/discover."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.handlers.pushing import push_image

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.conftest import Serve

ON: dict[str, Any] = {"secret": "a secret", "extensions": {"enabled": True}}


def endpoints(client: FlaskClient, path: str) -> dict[str, list[str]]:
    answer = client.get(path).json
    assert answer is not None
    assert all({"name", "url", "description", "endpoints"} == set(each) for each in answer["extensions"])
    return {each["name"]: each["endpoints"] for each in answer["extensions"]}


def test_what_is_told_is_what_is_served(serve: Serve) -> None:
    client = serve(http=ON)
    push_image(client, "a/b", "v1")
    served = {rule.rule.replace("path:", "") for rule in client.application.url_map.iter_rules()}
    extensions = {path for path in served if "/_registry/" in path or "/_oci/" in path}

    of_all = endpoints(client, "/v2/_oci/ext/discover")
    of_one = endpoints(client, "/v2/a/b/_oci/ext/discover")

    assert of_all["_oci"] == of_one["_oci"] == ["_oci/ext/discover"]
    assert {"_registry/gc", "_registry/usage", "_registry/repositories/{name}"} <= set(of_all["_registry"])
    assert "_registry/tags/copy" in of_one["_registry"]
    told = [f"/v2/{path}" for paths in of_all.values() for path in paths]
    told += [f"/v2/{{name}}/{path}" for paths in of_one.values() for path in paths]
    assert sorted(told) == sorted(path.translate({ord("<"): "{", ord(">"): "}"}) for path in extensions)


def test_a_repository_whose_name_looks_like_a_part_of_it_is_served_as_ever(serve: Serve) -> None:
    client = serve(http=ON)
    for name in ("ext/discover", "a/tags/list", "registry/tags/copy"):
        push_image(client, name, "v1")

        assert client.get(f"/v2/{name}/tags/list").json == {"name": name, "tags": ["v1"]}
        assert client.head(f"/v2/{name}/_oci/ext/discover").status_code == 200
