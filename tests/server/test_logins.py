"""What one worker knows of logins, the others know."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.auth.asking import basic
from tests.auth.files import line
from tests.serving import serving, wait_until

if TYPE_CHECKING:
    from pathlib import Path


def test_a_user_who_has_logged_in_once_is_let_in_by_every_worker_while_others_guess(tmp_path: Path) -> None:
    htpasswd = tmp_path / "htpasswd"
    htpasswd.write_text(line("alice", "wonderland"))
    overlay = {"auth": {"htpasswd": {"realm": "Ours", "path": str(htpasswd)}}, "http": {"workers": 3}}
    with serving(tmp_path, overlay) as server, ThreadPoolExecutor(8) as pool:

        def answers(password: str) -> set[int]:
            authorization = basic("alice", password)
            return set(pool.map(lambda _: server.get("/v2/", Authorization=authorization).status, range(48)))

        assert server.get("/v2/", Authorization=basic("alice", "wonderland")).status == 200
        wait_until("every worker refuses guesses", lambda: answers("guess") == {429})
        assert answers("wonderland") == {200}
