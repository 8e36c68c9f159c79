"""What root changes so that another user can use it. Where nothing is changed, that user could use it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from registry.container import ownership, usability
from registry.container.needs import Needs
from registry.container.ownership import Changes, give_directory, hand_over, let_read, make_usable
from registry.container.usability import UNFINISHED, named_by_operator, unusable
from registry.container.user import User, ask_as

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user")

USER = User(1234, 0)
BLOB = "docker/registry/v2/blobs/sha256/ab/abcd/data"


@pytest.fixture
def tree(open_path: Path) -> Path:
    """What a registry that ran as root has left."""
    blob = open_path / BLOB
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"content")
    return open_path / "docker"


def silent(_: str) -> None:
    pass


def owners(path: Path) -> set[tuple[int, int]]:
    return {(each.lstat().st_uid, each.lstat().st_gid) for each in [path, *path.rglob("*")]}


def made_usable(found: list[str], needs: Needs, user: User = USER) -> Changes:
    changes = Changes()
    make_usable(found, needs, user, silent, changes)
    return changes


def problems(needs: Needs, user: User = USER) -> list[str]:
    return ask_as(user, lambda: unusable(needs))


def test_a_tree_of_root_is_given_to_the_user_as_a_whole_and_once(tree: Path) -> None:
    needs = Needs(trees=frozenset({str(tree)}))
    assert problems(needs) == [str(tree)]
    assert hand_over(str(tree), USER, silent) == 8
    assert owners(tree) == {(1234, 0)}
    assert problems(needs) == []
    assert hand_over(str(tree), USER, silent) == 0


def test_what_the_user_can_use_keeps_its_owner(tree: Path) -> None:
    for each in [tree, *tree.rglob("*")]:
        os.chown(each, 5, 0)
        each.chmod(0o775 if each.is_dir() else 0o664)
    assert problems(Needs(trees=frozenset({str(tree)}))) == []
    assert hand_over(str(tree), USER, silent) == 0
    assert owners(tree) == {(5, 0)}


@pytest.mark.parametrize("below", ["docker", "docker/registry/v2", "docker/registry/v2/blobs/sha256/ab/abcd"])
def test_a_directory_of_root_is_found_wherever_it_is(open_path: Path, tree: Path, below: str) -> None:
    hand_over(str(tree), USER, silent)
    os.chown(open_path / below, 0, 0)
    assert problems(Needs(trees=frozenset({str(tree)}))) == [str(open_path / below)]
    assert hand_over(str(tree), USER, silent) == 1


def test_what_was_pushed_last_is_looked_at_in_a_tree_that_is_too_large_to_be_looked_at(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The true limits would need a tree that takes long to make.
    monkeypatch.setattr(usability, "_FOLLOWED", 2)
    needs = Needs(trees=frozenset({str(tree)}))
    for age in range(6):
        blob = tree / f"registry/v2/blobs/sha256/a{age}/a{age}bcd/data"
        blob.parent.mkdir(parents=True)
        blob.write_bytes(b"content")
    hand_over(str(tree), USER, silent)
    for age in range(6):
        os.utime(tree / f"registry/v2/blobs/sha256/a{age}", (age, age))
    os.chown(tree / "registry/v2/blobs/sha256/a0/a0bcd", 0, 0)
    assert problems(needs) == []
    os.chown(tree / "registry/v2/blobs/sha256/a5/a5bcd", 0, 0)
    assert problems(needs) == [str(tree / "registry/v2/blobs/sha256/a5/a5bcd")]


def test_what_was_interrupted_is_done_at_the_next_start_however_much_was_done(tree: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(_: str) -> None:
        raise Killed

    needs = Needs(trees=frozenset({str(tree)}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ownership, "_TELL_SECONDS", -1.0)  # it tells of every file, which here is its last
        with pytest.raises(Killed):
            hand_over(str(tree), USER, kill)
    assert (1234, 0) in owners(tree)
    assert (0, 0) in owners(tree)
    # All that is looked at is right, as in a large tree.
    for each in [tree, *tree.rglob("*")]:
        os.chown(each, 1234, 0)
    assert problems(needs) == [str(tree)]
    hand_over(str(tree), USER, silent)
    assert not (tree / UNFINISHED).exists()
    assert problems(needs) == []


def test_long_work_tells_how_far_it_is(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "_TELL_SECONDS", 0.0)
    told: list[str] = []
    hand_over(str(tree), USER, told.append)
    assert told[0] == f"{tree}: 1 files belong to user 1234:0 now, going on"


def test_no_link_leads_out_of_the_tree(open_path: Path, tree: Path) -> None:
    outside = open_path / "outside"
    outside.mkdir()
    for name in ("secret", "linked"):
        (outside / name).write_bytes(b"of root")
        (outside / name).chmod(0o600)
    (tree / "directory").symlink_to(outside)
    (tree / "file").symlink_to(outside / "secret")
    (tree / "other-name").hardlink_to(outside / "linked")
    hand_over(str(tree), USER, silent)
    assert owners(outside) == {(0, 0)}
    assert (outside / "linked").stat().st_mode & 0o777 == 0o600


def test_what_a_link_in_a_tree_leads_to_is_not_looked_at_and_stays_as_it_is(open_path: Path, tree: Path) -> None:
    other = open_path / "other-disk"
    other.mkdir(mode=0o700)
    (other / "secret").touch(mode=0o600)
    (tree / "registry/linked").symlink_to(other)
    (tree / "registry/up").symlink_to(tree)
    (tree / "registry/file").symlink_to(other / "secret")
    needs = Needs(trees=frozenset({str(tree)}))
    assert made_usable([str(tree)], needs).wrong == {}
    assert problems(needs) == []
    assert owners(other) == {(0, 0)}


def test_a_volume_may_be_a_link_that_root_has_made(open_path: Path) -> None:
    disk = open_path / "disk2/docker"
    (disk / "registry").mkdir(parents=True)
    root = open_path / "root"
    root.mkdir(mode=0o700)
    (root / "docker").symlink_to(disk)
    needs = Needs(made=frozenset({str(root)}), trees=frozenset({f"{root}/docker"}))
    assert made_usable(problems(needs), needs).wrong == {}
    assert problems(needs) == []
    assert owners(disk) == {(1234, 0)}
    assert (open_path / "disk2").stat().st_uid == 0


@pytest.mark.parametrize("kind", ["made", "directories", "trees", "read_trees"])
@pytest.mark.parametrize("place", ["sub", "sub/below"])
def test_root_gives_away_nothing_behind_a_link_that_the_user_may_have_made(
    open_path: Path, kind: str, place: str
) -> None:
    outside = open_path / "hostdir"
    (outside / "below").mkdir(parents=True)
    for each in (outside / "below", outside):
        each.chmod(0o700)
    volume = open_path / "volume"
    volume.mkdir()
    os.chown(volume, USER.uid, 0)
    (volume / "sub").symlink_to(outside)
    path = str(volume / place)
    needs = Needs(**{kind: frozenset({path})})
    changes = made_usable([path], needs)
    assert changes.wrong == {path: f"{path}: user 1234:0 may have made the symbolic link {volume}/sub"}
    assert owners(outside) == {(0, 0)}
    assert {stat.S_IMODE(each.stat().st_mode) for each in (outside, outside / "below")} == {0o700}
    assert not named_by_operator(path, needs, USER)


def test_in_a_directory_of_all_only_links_of_root_are_followed(open_path: Path) -> None:
    shared, outside = open_path / "shared", open_path / "outside"
    shared.mkdir()
    shared.chmod(0o1777)
    outside.mkdir(mode=0o700)
    link = shared / "link"
    link.symlink_to(outside)
    os.chown(link, 77, 0, follow_symlinks=False)
    with pytest.raises(OSError, match="may have made"):
        give_directory(str(link), USER)
    os.chown(link, 0, 0, follow_symlinks=False)
    assert give_directory(str(link), USER)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["fifo", "link", "directory", "full"])
def test_what_is_not_a_mark_but_has_its_name_is_no_obstacle(open_path: Path, tree: Path, kind: str) -> None:
    mark, needs = tree / UNFINISHED, Needs(trees=frozenset({str(tree)}))
    if kind == "fifo":
        os.mkfifo(mark)
    elif kind == "link":
        mark.symlink_to(open_path / "missing")
    else:
        (mark / "x" if kind == "full" else mark).mkdir(parents=True)
    assert made_usable(problems(needs), needs).wrong == {}
    assert problems(needs) == []
    assert os.path.lexists(mark) == (kind == "full")
    assert not (open_path / "missing").exists()


def test_what_others_keep_on_the_same_disk_stays_theirs(tree: Path) -> None:
    found = tree / "lost+found"
    found.mkdir(mode=0o700)
    hand_over(str(tree), USER, silent)
    assert found.stat().st_uid == 0
    assert problems(Needs(trees=frozenset({str(tree)}))) == []


def test_a_directory_without_rights_for_its_owner_gets_them(tree: Path) -> None:
    (tree / "registry").chmod(0o500)
    hand_over(str(tree), USER, silent)
    assert problems(Needs(trees=frozenset({str(tree)}))) == []


def test_a_tree_that_is_only_read_keeps_its_owner_while_it_can_be_read(tree: Path) -> None:
    needs = Needs(read_trees=frozenset({str(tree)}))
    assert problems(needs) == []
    (tree.parent / BLOB).chmod(0o600)
    assert problems(needs) == [str(tree.parent / BLOB)]


def test_a_key_of_root_becomes_readable_by_the_group_and_stays_roots(open_path: Path) -> None:
    (open_path / "certs").mkdir(mode=0o700)
    key = open_path / "certs/domain.key"
    key.write_bytes(b"key")
    key.chmod(0o600)
    needs = Needs(files=frozenset({str(key)}))
    assert problems(needs) == [str(key)]
    changes = made_usable([str(key)], needs)
    assert changes == Changes(done=[f"{key.parent} (to search)", f"{key} (to read)"])
    assert problems(needs) == []
    assert problems(needs, User(1234, 1234)) == [str(key)]
    assert owners(open_path) == {(0, 0)}
    assert stat.S_IMODE(key.stat().st_mode) == 0o640


def test_a_key_whose_group_is_not_the_users_becomes_the_users_and_its_group_keeps_it(open_path: Path) -> None:
    key = open_path / "domain.key"
    key.write_bytes(b"key")
    os.chown(key, 0, 77)
    key.chmod(0o640)
    assert list(let_read(str(key), USER))
    assert problems(Needs(files=frozenset({str(key)}))) == []
    assert (key.stat().st_uid, key.stat().st_gid, stat.S_IMODE(key.stat().st_mode)) == (1234, 77, 0o640)


def test_a_key_is_found_behind_links_that_root_has_made(open_path: Path) -> None:
    """As certbot keeps them."""
    for name in ("archive", "live"):
        (open_path / name).mkdir(mode=0o700)
    key = open_path / "archive/privkey1.pem"
    key.write_bytes(b"key")
    key.chmod(0o600)
    link = open_path / "live/privkey.pem"
    link.symlink_to("../archive/privkey1.pem")
    assert list(let_read(str(link), USER))
    assert problems(Needs(files=frozenset({str(link)}))) == []


def test_a_key_in_the_home_of_somebody_else_changes_nothing_and_is_named_by_the_operator(open_path: Path) -> None:
    home = open_path / "alice"
    (home / "certs").mkdir(parents=True)
    key = home / "certs/domain.key"
    key.write_bytes(b"key")
    for each, mode in ((key, 0o600), (key.parent, 0o700), (home, 0o700)):
        os.chown(each, 77, 77)
        each.chmod(mode)
    needs = Needs(files=frozenset({str(key)}))
    changes = made_usable(problems(needs), needs)
    assert changes == Changes(wrong={str(key): f"{key}: the directory {home} is closed to user 1234:0"})
    assert owners(home) == {(77, 77)}
    assert [stat.S_IMODE(each.stat().st_mode) for each in (home, key)] == [0o700, 0o600]
    assert named_by_operator(str(key), needs, USER)


@pytest.mark.parametrize("link", ["symbolic", "hard"])
def test_a_link_that_the_user_may_have_made_gives_it_nothing(open_path: Path, link: str) -> None:
    secret = open_path / "secret"
    secret.write_bytes(b"of root")
    secret.chmod(0o600)
    (open_path / "auth").mkdir()
    os.chown(open_path / "auth", USER.uid, 0)
    made = open_path / "auth/htpasswd"
    if link == "symbolic":
        made.symlink_to(secret)
    else:
        made.hardlink_to(secret)
    with pytest.raises(OSError, match="another name" if link == "hard" else "may have made"):
        list(let_read(str(made), USER))
    assert not named_by_operator(str(made), Needs(files=frozenset({str(made)})), USER)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert secret.stat().st_uid == 0


def test_a_directory_that_is_missing_is_made_for_the_user_and_none_of_its_parents(open_path: Path) -> None:
    root = open_path / "data/images"
    needs = Needs(made=frozenset({str(root)}))
    assert problems(needs) == [str(root)]
    assert made_usable([str(root)], needs) == Changes(done=[f"{root} (to write)"])
    assert (root.stat().st_uid, root.parent.stat().st_uid) == (1234, 0)
    assert problems(needs) == []


def test_what_cannot_be_changed_is_told_and_keeps_nothing_else_from_being_changed(open_path: Path) -> None:
    (open_path / "file").touch()
    impossible, possible = f"{open_path}/file/below", f"{open_path}/root"
    needs = Needs(made=frozenset({impossible, possible}))
    assert made_usable([impossible, possible], needs) == Changes(
        done=[f"{possible} (to write)"], wrong={impossible: f"{impossible}: Not a directory"}
    )


@pytest.mark.parametrize("kind", ["made", "read_trees"])
def test_a_closed_volume_that_is_mounted_read_only_is_missed_and_named_by_the_operator(tree: Path, kind: str) -> None:
    tree.chmod(0o700)
    tree.parent.chmod(0o700)
    path = str(tree.parent if kind == "made" else tree)
    script = f"""
from registry.container.needs import Needs
from registry.container.ownership import Changes, make_usable
from registry.container.usability import named_by_operator, unusable
from registry.container.user import User, ask_as
needs, user = Needs({kind}=frozenset({{{path!r}}})), User(1234, 0)
found = ask_as(user, lambda: unusable(needs))
changes = Changes()
make_usable(found, needs, user, print, changes)
print(found, list(changes.wrong), named_by_operator({path!r}, needs, user), unusable(needs))
"""
    mounts = f"mount --bind {tree.parent} {tree.parent} && mount -o remount,bind,ro {tree.parent}"
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("this root may not mount")
    command = ["unshare", "--mount", "sh", "-ec", f'{mounts} && exec "$@"', "sh", sys.executable, "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == f"[{path!r}] [{path!r}] True []\n"
