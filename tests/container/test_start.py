"""What ``/bin/registry`` of the image does, started by root."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from registry.container.usability import UNFINISHED

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")

UID = 1234
COMMAND = (sys.executable, "-P", "-m", "registry.container")


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "RUN_AS": str(UID), **environ}
    return subprocess.run(
        [*COMMAND, *arguments], input="secret\n", capture_output=True, text=True, check=False, env=variables
    )


@pytest.fixture
def config(open_path: Path) -> Path:
    path = open_path / "config.yml"
    root = open_path / "volume"
    root.mkdir(mode=0o700)
    (root / "docker/registry/v2/repositories").mkdir(parents=True)
    path.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\n")
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--help"],
        ["rm", "-h"],
        ["--version"],
        ["garbage-collect", "-d"],
        ["garbage-collect", "--dry-run", "--delete-untagged"],
        ["rm", "-n", "a:1"],
    ],
)
def test_where_nothing_is_written_no_owner_changes(open_path: Path, config: Path, arguments: list[str]) -> None:
    environ = {"REGISTRY_CONFIGURATION_PATH": str(config), "TMPDIR": f"{open_path}/volume"}
    result = run(*arguments, **environ)
    assert {path.stat().st_uid for path in open_path.rglob("*")} == {0}
    assert "made usable" not in result.stderr
    assert (open_path / "volume").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("path", ["auth/ht", "auth/below/ht"])
def test_root_writes_no_passwords_through_a_link_of_the_unprivileged_user(open_path: Path, path: str) -> None:
    hostdir = open_path / "hostdir"
    hostdir.mkdir(mode=0o700)
    (hostdir / "shadow").write_text("root:x\n")
    link = open_path / path
    link.parent.mkdir(parents=True)
    link.symlink_to(hostdir / "shadow")
    os.chown(open_path / "auth", UID, 0)
    run("htpasswd", "--file", str(link), "--password-stdin", "alice")
    assert (hostdir / "shadow").read_text() == "root:x\n"
    assert link.readlink() == hostdir / "shadow"


def test_root_writes_passwords_where_only_root_may(open_path: Path) -> None:
    run("htpasswd", "--file", f"{open_path}/ht", "--password-stdin", "alice")
    status = (open_path / "ht").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (0, 0, 0o640)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_process_of_a_container_ends_on_a_signal_that_came_before_it_ran(number: signal.Signals) -> None:
    """The shell sends the signal to itself while it is blocked, and then becomes the registry."""
    if subprocess.run(["unshare", "--pid", "--fork", "true"], check=False).returncode:
        pytest.skip("this root may not make namespaces of processes")
    text = f'kill -{int(number)} $$; exec "$@"'
    start = ("unshare", "--pid", "--fork", "env", "--block-signal=TERM,INT", "sh", "-c", text, "sh")
    result = subprocess.run([*start, *COMMAND, "version"], capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (128 + number, b"", b"")


def test_a_change_of_owners_is_interrupted_by_a_signal_and_leaves_its_mark(config: Path, open_path: Path) -> None:
    if subprocess.run(["unshare", "--pid", "--fork", "true"], check=False).returncode:
        pytest.skip("this root may not make namespaces of processes")
    tree = open_path / "volume/docker"
    for number in range(20000):
        (tree / str(number)).touch(mode=0o600)
    variables = {**os.environ, "RUN_AS": str(UID)}
    with subprocess.Popen(
        ["unshare", "--pid", "--fork", *COMMAND, "garbage-collect", str(config)],
        env=variables,
        stdout=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and not (tree / UNFINISHED).exists():
            pass  # a pause might last until the change is done
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM
    assert (tree / UNFINISHED).exists()
    assert tree.stat().st_uid == 0


def test_all_that_was_made_usable_is_one_line_and_a_link_in_the_volume_is_none_of_it(
    open_path: Path, config: Path
) -> None:
    secret = open_path / "secret"
    secret.touch(mode=0o600)
    (open_path / "volume/docker/registry/v2/evil").symlink_to(secret)
    config.chmod(0o600)
    closed = open_path / "somebody"
    closed.mkdir()
    (closed / "key").touch(mode=0o600)
    os.chown(closed, 77, 77)
    closed.chmod(0o700)
    result = run("garbage-collect", str(config), AWS_SHARED_CREDENTIALS_FILE=f"{closed}/key")
    (line,) = [each for each in result.stderr.splitlines() if "made usable" in each]
    changed = (
        f"{open_path}/volume/docker (to write, 4 changed owner), {config} (to read), {open_path}/volume (to write)"
    )
    assert line == f"registry: made usable for user {UID}:0: {changed}"
    assert "CAP_DAC_OVERRIDE" not in result.stderr
    assert (secret.stat().st_uid, closed.stat().st_uid) == (0, 77)


@pytest.mark.parametrize("place", ["volume/docker/registry/v2", "somebody"])
def test_only_what_the_operator_has_named_gives_the_server_the_right_to_use_all_files(
    open_path: Path, config: Path, place: str
) -> None:
    directory = open_path / place
    directory.mkdir(exist_ok=True)
    (directory / "key").touch(mode=0o600)
    if place == "somebody":
        os.chown(directory, 77, 77)
        directory.chmod(0o700)
    else:
        os.chown(open_path / "volume", 1000, 0)
        (directory / "other").hardlink_to(directory / "key")
    # RUN_AS must not be set: who chooses a user has its rights. The port is wrong, so that the server ends at once.
    result = run(
        "serve",
        str(config),
        RUN_AS="",
        AWS_SHARED_CREDENTIALS_FILE=f"{directory}/key",
        REGISTRY_HTTP_ADDR="127.0.0.1:x",
    )
    named = place == "somebody"
    assert f"cannot use {directory}/key" in result.stderr + result.stdout
    assert ("gets the right to use all files" in result.stderr + result.stdout) == named
    assert ("type chown -R 1000:0" in result.stderr + result.stdout) == named
