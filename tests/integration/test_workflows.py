from __future__ import annotations

from tests.integration.clients import finish, require_program
from tests.integration.pages import PROJECT


def test_workflows_are_what_the_platform_understands() -> None:
    checked = finish(require_program("actionlint"), "-no-color", *sorted((PROJECT / ".github/workflows").glob("*.yml")))
    assert (checked.returncode, checked.stdout) == (0, "")
