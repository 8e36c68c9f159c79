from __future__ import annotations

import os

import pytest

from registry.container.user import User, ask_as


def test_the_user_of_the_image_is_1000_of_group_0() -> None:
    assert str(User.parse("")) == "1000:0"


def test_a_user_is_given_by_numbers_and_its_group_is_0_if_that_is_not_given() -> None:
    assert str(User.parse("33")) == "33:0"
    assert str(User.parse("33:44")) == "33:44"


@pytest.mark.parametrize("text", ["root", "33:", ":33", "-1", "1:2:3", " 1", "99999999999", "²"])
def test_what_is_not_a_user_by_numbers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"^RUN_AS: '{text}' is not UID or UID:GID, in numbers$"):
        User.parse(text)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may act as another user")
def test_a_question_is_answered_by_a_process_of_the_user_alone() -> None:
    def who() -> list[str]:
        return [str(os.getresuid()), str(os.getresgid()), str(os.getgroups())]

    assert ask_as(User(1234, 5), who) == ["(1234, 1234, 1234)", "(5, 5, 5)", "[]"]
    assert os.geteuid() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may act as another user")
def test_a_user_that_cannot_be_become_is_an_error_here() -> None:
    def try_from_there() -> list[str]:
        try:
            ask_as(User(77, 0), list)
        except PermissionError as error:
            return [str(error)]
        return []

    assert ask_as(User(1234, 5), try_from_there) == ["[Errno 1] Operation not permitted"]
