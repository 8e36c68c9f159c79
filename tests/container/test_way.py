"""Whether an unprivileged user may have root follow its links."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from registry.container.user import User
from registry.container.way import may_be_replaced, way_to

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user")

USER = User(1234, 0)


@pytest.mark.parametrize(
    ("owner", "group", "mode", "replaced"),
    [
        (0, 0, 0o755, False),
        (0, 0, 0o775, True),
        (0, 5, 0o775, False),
        (0, 5, 0o777, True),
        (0, 0, 0o1777, False),
        (1234, 5, 0o700, True),
        (1234, 5, 0o500, True),
        (1234, 5, 0o1777, True),
        (77, 77, 0o700, False),
    ],
)
@pytest.mark.parametrize("name", ["htpasswd", "below/htpasswd", "below/missing", "link", "dangling"])
def test_who_may_write_to_any_directory_on_the_way_may_replace_the_file(
    open_path: Path, owner: int, group: int, mode: int, *, replaced: bool, name: str
) -> None:
    auth, safe = open_path / "auth", open_path / "safe"
    (auth / "below").mkdir(parents=True)
    safe.mkdir()
    for file in ("htpasswd", "below/htpasswd"):
        (auth / file).touch()
    (safe / "link").symlink_to("../auth/htpasswd")
    (safe / "dangling").symlink_to("../auth/missing")
    os.chown(auth, owner, group)
    auth.chmod(mode)
    path = (safe if "/" not in name and name != "htpasswd" else auth) / name
    assert may_be_replaced(str(path), USER) == (replaced or name == "dangling")


def test_links_that_lead_in_a_circle_end(open_path: Path) -> None:
    (open_path / "a").symlink_to("b")
    (open_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels of symbolic links"), way_to(str(open_path / "a"), USER):
        pass


def test_a_way_leads_through_dots_and_absolute_links_to_what_is_there(open_path: Path) -> None:
    (open_path / "one/two").mkdir(parents=True)
    (open_path / "link").symlink_to(open_path / "one/./two")
    with way_to(f"{open_path}//link/../two", USER) as steps:
        assert os.path.samestat(steps[-1].status, (open_path / "one/two").stat())
