from __future__ import annotations

import pytest

from auth.controllers.silly import SillyController
from tests.auth.asking import challenge, on, request
from tests.auth.conformance import AccessConformance, Welcome


class TestSillyController(AccessConformance):
    lets_in_any_header = True

    @pytest.fixture
    def controller(self) -> SillyController:
        return SillyController.from_parameters({"realm": "silly", "service": "svc"})

    @pytest.fixture
    def welcome(self) -> Welcome:
        return Welcome("Seriously whatever comes to mind", "silly", "whatever")

    @pytest.fixture
    def wrong(self) -> str:
        return "Anything else"

    def test_the_challenge_lists_one_scope_per_access(self, controller: SillyController) -> None:
        assert challenge(controller, request()) == 'Bearer realm="silly",service="svc"'
        assert challenge(controller, request(), on("a/b", "pull", "push")) == (
            'Bearer realm="silly",service="svc",scope="repository:a/b:pull repository:a/b:push"'
        )
