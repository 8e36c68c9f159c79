"""The suite that every access controller passes: each sentence of auth/base.py that a test can hold it to.

A controller's test gives three fixtures and runs all of it::

    class TestMyController(AccessConformance):
        @pytest.fixture
        def controller(self) -> MyController: ...

        @pytest.fixture
        def welcome(self) -> Welcome: ...         # credentials that may pull and push team/app

        @pytest.fixture
        def wrong(self) -> str: ...               # an Authorization header that looks right and is not
"""

from __future__ import annotations

import base64
import logging
import re
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from auth.base import (
    AccessController,
    ControllerError,
    DeniedError,
    ThrottledError,
    UnauthorizedError,
)
from registry.foundation.errors import ParameterError
from tests.auth.asking import CATALOG, on, request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth.base import Access

_CHALLENGE = re.compile(r'(?:Basic|Bearer) \w+="(?:[^"\\]|\\.)*"(?:,\w+="(?:[^"\\]|\\.)*")*')
_ANSWERS = (UnauthorizedError, DeniedError, ThrottledError)


@dataclass(frozen=True)
class Welcome:
    """An Authorization header, whose it is, and what of it must never be shown."""

    authorization: str
    user: str
    secret: str


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


_NONSENSE_TOKENS = (
    *("", ".", "..", "...", "a.b.c", "a.b.c.d.e", "eyJ.eyJ.x", "=.=.=", "💥.💥.💥", "\x00.\x00.\x00"),
    *("e30.e30.", "bnVsbA.bnVsbA.bnVsbA", "W10.W10.W10", "MQ.MQ.MQ", "eyJhbGciOiJub25lIn0.e30."),
    _encoded(b'{"alg":"RS256","kid":1}').rstrip("=") + ".e30.AA",
    _encoded(b'{"alg":["RS256"],"kid":"a"}').rstrip("=") + ".e30.AA",
    _encoded(b'{"alg":{},"kid":null}').rstrip("=") + ".e30.AA",
    _encoded(b'{"alg":"ES256","kid":"a","b64":false,"crit":["b64"]}').rstrip("=") + "..AA",
    _encoded(b'{"alg":"RS256","kid":"\\ud800"}').rstrip("=") + ".e30.AA",
    _encoded(b"[" * 30_000).rstrip("=") + ".e30.AA",
    "e30." + _encoded(b'{"a":' * 9_000).rstrip("=") + ".AA",
    _encoded(b'{"alg":"RS256","kid":"a"}').rstrip("=") + "." + "A" * 1_000_001 + ".AA",
    "x" * 1_000_000,
)
MALFORMED = [
    *("", " ", "Basic", "Basic ", "basic =", "Basic ====", "Basic !!!!", "Basic YQ", "Basic 💥", "Basic \x00"),
    *("Bearer", "Bearer ", "bearer  ", "Negotiate abc", "Digest username=x", "\x00", "ÿþ", "Basic YWxpY2U="),
    *(f"Bearer {token}" for token in _NONSENSE_TOKENS),
    "Basic " + _encoded(b":"),
    "Basic " + _encoded(b"\x00:\x00"),
    "Basic " + _encoded(b"\xff\xfe:secret"),
    "Basic " + _encoded(b"a\nb:secret"),
    "Basic " + _encoded("ülrich:pässwörd".encode()),
    "Basic " + _encoded("💥:".encode()),
    "Basic " + _encoded(b"a:b:c:d"),
    "Basic " + _encoded(b"alice:" + b"x" * 100_000),
    "Basic " + _encoded(b"u" * 100_000 + b":x"),
    "Basic " + "A" * 100_001,
]


class AccessConformance(ABC):
    lets_in_any_header = False

    @pytest.fixture
    @abstractmethod
    def controller(self) -> AccessController:
        """The controller under test."""

    @pytest.fixture
    @abstractmethod
    def welcome(self) -> Welcome:
        """Credentials that may pull and push team/app."""

    @pytest.fixture
    @abstractmethod
    def wrong(self) -> str:
        """An Authorization header that looks right and is not."""

    def test_a_stranger_is_challenged_at_the_door(self, controller: AccessController) -> None:
        with pytest.raises(UnauthorizedError) as caught:
            controller.authorize(request(), [])
        assert _CHALLENGE.fullmatch(caught.value.challenge)
        assert caught.value.accesses == ()

    def test_a_stranger_is_told_what_was_asked_for(self, controller: AccessController) -> None:
        with pytest.raises(UnauthorizedError) as caught:
            controller.authorize(request(), on("team/app", "pull", "push"))
        assert caught.value.accesses == tuple(on("team/app", "pull", "push"))

    def test_the_welcome_are_let_in_under_their_name(self, controller: AccessController, welcome: Welcome) -> None:
        asked = request(welcome.authorization)
        assert controller.authorize(asked, []).user == welcome.user
        assert controller.authorize(asked, on("team/app", "pull")).user == welcome.user
        assert controller.authorize(asked, on("team/app", "pull", "push")).user == welcome.user

    def test_the_scheme_is_read_in_any_case(self, controller: AccessController, welcome: Welcome) -> None:
        scheme, _, rest = welcome.authorization.partition(" ")
        for spelled in (scheme.lower(), scheme.upper()):
            assert controller.authorize(request(f"{spelled} {rest}"), []).user == welcome.user

    def test_wrong_credentials_are_challenged_again(self, controller: AccessController, wrong: str) -> None:
        if self.lets_in_any_header:
            pytest.skip("any header is right")
        with pytest.raises(UnauthorizedError) as caught:
            controller.authorize(request(wrong), on("team/app", "pull"))
        assert _CHALLENGE.fullmatch(caught.value.challenge)

    @pytest.mark.parametrize("authorization", MALFORMED, ids=range(len(MALFORMED)))
    def test_malformed_headers_are_refused_in_words_of_the_contract(
        self, controller: AccessController, authorization: str
    ) -> None:
        if self.lets_in_any_header and authorization:
            assert controller.authorize(request(authorization), [])
            return
        with pytest.raises(_ANSWERS):
            controller.authorize(request(authorization), on("team/app", "push"))

    def test_ten_thousand_accesses_are_judged(self, controller: AccessController, welcome: Welcome) -> None:
        accesses = on("team/app", *["pull"] * 10_000)
        assert controller.authorize(request(welcome.authorization), accesses).user == welcome.user
        strangers = [access for i in range(10_000) for access in on(f"other/{i}", "pull")]
        with pytest.raises(UnauthorizedError):
            controller.authorize(request(), strangers)

    def test_a_challenge_is_one_line_of_ascii_whatever_the_names(self, controller: AccessController) -> None:
        for name in ('a"b', "a\\b", "a\r\nSet-Cookie: x", "a\x00b", "ü", "a,b", "x" * 100_000):
            with pytest.raises(UnauthorizedError) as caught:
                controller.authorize(request(), on(name, "pull"))
            assert _CHALLENGE.fullmatch(caught.value.challenge)
            assert caught.value.challenge.isascii()
            assert caught.value.challenge.isprintable()

    def test_threads_share_a_controller(self, controller: AccessController, welcome: Welcome, wrong: str) -> None:
        def ask(number: int) -> bool:
            try:
                controller.authorize(request(welcome.authorization if number % 2 else wrong), [])
            except _ANSWERS:
                return False
            return True

        controller.authorize(request(welcome.authorization), [])
        with ThreadPoolExecutor(8) as pool:
            allowed = list(pool.map(ask, range(16)))
        assert allowed == [bool(number % 2) or self.lets_in_any_header for number in range(16)]

    def test_no_secret_is_ever_logged(
        self, controller: AccessController, welcome: Welcome, wrong: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        shown: list[str] = []
        headers = [welcome.authorization, wrong, welcome.authorization[:-6], f"{welcome.authorization}x"]
        for accesses in ([], on("team/app", "pull"), on("nobody/else", "delete"), CATALOG):
            shown += [_told(controller, authorization, accesses) for authorization in headers]
        shown += [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
        for text in shown:
            assert welcome.secret not in text
            assert not any(header.partition(" ")[2] in text for header in headers)

    def test_missing_parameters_are_named(self, controller: AccessController) -> None:
        with pytest.raises(ParameterError):
            type(controller).from_parameters({})

    def test_parameters_of_the_wrong_type_are_named(self, controller: AccessController) -> None:
        values: list[object] = [1, True, [], {}, None, ""]
        for value in values:
            parameters = dict.fromkeys(("realm", "service", "issuer", "path", "rules", "htpasswd", "key"), value)
            with pytest.raises(ParameterError):
                type(controller).from_parameters(parameters)


def _told(controller: AccessController, authorization: str, accesses: Sequence[Access]) -> str:
    try:
        return repr(controller.authorize(request(authorization), accesses))
    except (*_ANSWERS, ControllerError) as error:
        return f"{error} {vars(error)}"
