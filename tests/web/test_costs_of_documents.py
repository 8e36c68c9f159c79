"""How many calls of an object store the pages of documents take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.browsing import attached
from tests.browsing.attached import encoded
from tests.browsing.test_attached import push, push_image, push_index, refer_to
from tests.drivers.s3.strict import StrictS3
from tests.drivers.s3.test_costs import counted, driver_of
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from tests.conftest import Serve


def test_documents_are_read_once_and_lists_and_texts_take_few_calls(serve: Serve) -> None:
    with StrictS3() as server:
        driver = driver_of(server)
        client = serve(driver, ui={"enabled": True})
        image, _ = push_image(client, {}, b"layer", tag="v1")
        for document in (attached.SPDX_2, attached.TRIVY, attached.GRYPE):
            part = {"content": encoded(document), "type": "application/json"}
            push(client, part, subject=refer_to(image))
        push(client, {"content": b"# README", "type": "text/markdown"}, tag="readme")
        push_index(client, "1", ("amd64", "1.3"), ("arm64", "1.3"))
        push_index(client, "2", ("amd64", "1.4"), ("arm64", "1.4"))
        browser = Browser(serve(driver, ui={"enabled": True}))
        paths = {
            "in short": f"/ui/_attached?repository=app&digest={image}",
            "in short, later": f"/ui/_attached?repository=app&digest={image}",
            "README": "/ui/_readme?repository=app",
            "compare": "/ui/_compare?repository=app&one=1&other=2",
        }
        costs = {what: counted(server, lambda path=path: browser.get(path)) for what, path in paths.items()}  # type: ignore[misc]

    assert costs == {
        "in short": {"GET": 25, "HEAD": 3, "list": 2},
        "in short, later": {"GET": 12, "list": 2},
        "README": {"GET": 6, "HEAD": 1, "list": 1},
        "compare": {"GET": 54, "HEAD": 8, "list": 4},
    }
