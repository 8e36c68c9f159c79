"""Completion in real shells on a terminal, and the manual page as roff formats it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.integration.clients import finish, require_program
from tests.integration.pages import PROJECT, Reader

if TYPE_CHECKING:
    from pathlib import Path

SHELLS: Final = {
    "bash": "bash --rcfile rc -i",
    "zsh": "ZDOTDIR=. zsh -i",
    "fish": "fish --private",
}


def test_manual_page_is_formatted_without_a_warning() -> None:
    page = PROJECT / "deploy/share/man/man1/registry.1"
    formatted = finish(require_program("groff"), "-man", "-ww", "-Tutf8", page)
    assert (formatted.returncode, formatted.stderr) == (0, "")
    assert formatted.stdout.startswith("REGISTRY(1)")


@pytest.mark.parametrize("shell", SHELLS)
def test_shell_completes_commands_and_files(shell: str, tmp_path: Path) -> None:
    require_program(shell)
    share = PROJECT / "deploy/share"
    (tmp_path / "rc").write_text("PS1='READY> '; . /usr/share/bash-completion/bash_completion\n")
    (tmp_path / ".zshrc").write_text(
        f"PROMPT='READY> '; fpath=({share}/zsh/site-functions $fpath); autoload -U compinit; compinit -u -D\n"
    )
    (tmp_path / ".config/fish").mkdir(parents=True)
    (tmp_path / ".config/fish/config.fish").write_text("function fish_prompt; echo -n 'READY> '; end\n")
    (tmp_path / "my-config.yml").write_text("version: 0.1\nstorage: inmemory\n")
    reader = Reader(
        tmp_path,
        answers={"READY> [^\n]*$": "registry conf\tsh\tmy-c\t; exit"},
        environment={"XDG_DATA_DIRS": f"{share}:/usr/share", "XDG_CONFIG_HOME": str(tmp_path / ".config")},
    )
    assert "inmemory: {}" in reader.type(SHELLS[shell])
