from __future__ import annotations

import contextlib
import gc
import json
import logging
import re
import ssl
import warnings
from typing import TYPE_CHECKING

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from registry.observation import log
from tests.config.forms import refusal
from tests.observation.written import HOOK, Mailbox, parsed, read, set_up
from tests.server.tls.authority import Authority
from tests.serving import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aiosmtpd.smtp import SMTP, Envelope, Session

    from tests.observation.written import Stderr


def test_text_is_that_of_logrus(written: Stderr) -> None:
    set_up("{fields: {service: registry, site: 'a b'}}").warning("it is %s", 'said "so"', extra={"n": 3, "hit": True})
    line = parsed(written.getvalue())
    assert list(line)[:3] == ["time", "level", "msg"]
    assert list(line)[3:] == sorted(list(line)[3:])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert (line["level"], line["msg"]) == ("warning", 'it is said "so"')
    assert (line["n"], line["hit"], line["service"], line["site"]) == ("3", "true", "registry", "a b")
    assert line["instance.id"]
    assert line["version"]


@pytest.mark.parametrize(("level", "lines"), [("info", 1), ("debug", 2)])
def test_an_sdk_that_dumps_its_requests_at_info_does_so_at_debug_only(written: Stderr, level: str, lines: int) -> None:
    set_up(f"{{level: {level}}}")
    sdk = logging.getLogger("azure.core.pipeline.policies.http_logging_policy")
    sdk.info("Request URL: 'https://a.example/'")
    sdk.warning("it cannot be reached")
    assert len(written.getvalue().splitlines()) == lines


@pytest.mark.parametrize("formatter", ["json", "logstash"])
def test_json_is_one_object_a_line(written: Stderr, formatter: str) -> None:
    logger = set_up(f"{{formatter: {formatter}, fields: {{service: registry}}}}")
    logger.error("a\nb", extra={"n": 3, "detail": {"k": [1]}})
    logger.info("next")
    first, second = (json.loads(line) for line in written.getvalue().splitlines())
    assert (first["level"], first["msg"], first["n"], first["service"]) == ("error", "a\nb", 3, "registry")
    assert json.loads(first["detail"]) == {"k": [1]}
    assert (second["level"], second["msg"]) == ("info", "next")


def test_caller_is_told_on_demand(written: Stderr) -> None:
    set_up("{formatter: json, reportcaller: true}").info("x")
    line = json.loads(written.getvalue())
    assert line["file"].startswith(f"{__file__}:")
    assert line["func"] == "test_log.test_caller_is_told_on_demand"


def test_levels_below_the_configured_one_are_not_written(written: Stderr) -> None:
    logger = set_up("{level: warn}")
    logger.info("quiet")
    logger.warning("loud")
    assert "quiet" not in written.getvalue()
    assert "loud" in written.getvalue()


def test_bug_is_a_panic_with_its_traceback_on_one_line(written: Stderr) -> None:
    logger = set_up("{formatter: text}")
    try:
        raise ValueError("https://user:hunter2@host/")  # noqa: TRY301  as a library does
    except ValueError:
        logger.critical("failed", exc_info=True)
    line = written.getvalue()
    assert line.count("\n") == 1
    assert parsed(line)["level"] == "panic"
    assert "Traceback" in line
    assert "hunter2" not in line


FACTS: dict[str, object] = {"uri": "/v2/?_state=hunter2", "n": 3, "hit": False, "detail": {"token": "a=b"}}


@pytest.mark.parametrize("formatter", ["text", "json", "logstash"])
def test_line_that_goes_past_the_logger_is_the_loggers(written: Stderr, formatter: str) -> None:
    logger = set_up(f"{{formatter: {formatter}, fields: {{service: registry, site: 'a b'}}}}")
    logger.info("done", extra=FACTS)
    log.info_writer(logger)("done", FACTS)
    by_logger, direct = (re.sub(r"\d+:\d+\.\d+Z", "", line) for line in written.getvalue().splitlines())
    assert direct == by_logger
    assert "hunter2" not in direct


def test_line_that_cannot_be_written_fails_nothing() -> None:
    full = open("/dev/full", "w")  # noqa: PTH123, SIM115  a device, and to close it fails as well
    log.write_whole(logging.StreamHandler(full), "lost")
    with contextlib.suppress(OSError):
        full.close()
    log.write_whole(logging.StreamHandler(full), "closed")


def test_lines_of_the_hooks_levels_are_mailed(written: Stderr, mailbox: tuple[Mailbox, str]) -> None:
    box, addr = mailbox
    logger = set_up(f"{{hooks: [{HOOK.format(levels='error, panic', addr=addr)}]}}")
    logger.warning("not this")
    logger.error("that: _state=hunter2", extra={"path": "/x"})
    logger.critical("and this")
    wait_until("the mails are there", lambda: len(box.mails) == 2)
    first, second = box.mails
    assert (first.mail_from, first.rcpt_tos) == ("r@x", ["a@x", "b@x"])
    mail, other = read(first), read(second)
    assert re.fullmatch(r"\[error\] \S+: that: _state=\.\.\.", mail["Subject"])
    assert "path=/x" in mail.get_content()
    assert "hunter2" not in mail.as_string()
    assert "[panic]" in other["Subject"]
    assert "failed" not in written.getvalue()


def test_request_lines_are_mailed_where_a_hook_wants_them(written: Stderr, mailbox: tuple[Mailbox, str]) -> None:
    box, addr = mailbox
    log.info_writer(set_up(f"{{hooks: [{HOOK.format(levels='info', addr=addr)}]}}"))("done", FACTS)
    wait_until("the mail is there", lambda: box.mails)
    assert "[info]" in read(box.mails[0])["Subject"]
    assert parsed(written.getvalue())["msg"] == "done"


@pytest.mark.parametrize("name", ["", "registry", "registry.observation.lines"])
def test_a_handler_that_is_added_later_gets_the_request_lines(
    written: Stderr, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    set_up("{}")
    logger = logging.getLogger("registry.observation.lines")
    write = log.info_writer(logger)
    write("one", FACTS)
    logging.getLogger(name).addHandler(caplog.handler)
    try:
        write("two", FACTS)
    finally:
        logging.getLogger(name).removeHandler(caplog.handler)
    write("three", FACTS)
    assert caplog.messages == ["two"]
    assert [parsed(each)["msg"] for each in written.getvalue().splitlines()] == ["one", "two", "three"]


class Logins:
    """Lets nobody but the registry in, and notes whether it came encrypted."""

    def __init__(self) -> None:
        self.encrypted: list[bool] = []

    def __call__(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        del envelope, mechanism
        self.encrypted.append(session.ssl is not None)
        del server
        return AuthResult(success=(data.login, data.password) == (b"registry", b"hunter2-smtp"), handled=False)


SECURE_HOOK = """{{hooks: [{{type: mail, levels: [error], options: {{smtp: {{addr: 'localhost:{port}',
    username: registry, password: {password}, insecure: {insecure}}}, from: r@x, to: [a@x]}}}}]}}"""


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Mailbox, Logins, int]]:
    """A mail server that takes mail by STARTTLS and a login only; its authority is trusted by OpenSSL's variable."""
    authority = Authority.create(tmp_path / "authority")
    pair = authority.issue("mail")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    box, logins, port = Mailbox(), Logins(), free_port()
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        authenticator=logins,
        auth_required=True,
    )
    controller.start()
    yield box, logins, port
    controller.stop()
    # It forgets to close the connection of a client that breaks off the handshake.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()


def test_mail_goes_by_starttls_and_with_a_login(written: Stderr, secure: tuple[Mailbox, Logins, int]) -> None:
    box, logins, port = secure
    set_up(SECURE_HOOK.format(port=port, password="hunter2-smtp", insecure="false")).error("over TLS")
    wait_until("the mail is there", lambda: box.mails)
    assert "over TLS" in read(box.mails[0])["Subject"]
    assert logins.encrypted == [True]
    assert "hunter2" not in written.getvalue()


def test_refused_login_is_said_without_the_password(written: Stderr, secure: tuple[Mailbox, Logins, int]) -> None:
    box, _, port = secure
    set_up(SECURE_HOOK.format(port=port, password="hunter2-wrong", insecure="false")).error("over TLS")
    wait_until("it is said", lambda: f"mail to localhost:{port} failed: " in written.getvalue())
    assert "hunter2" not in written.getvalue()
    assert box.mails == []


@pytest.mark.parametrize("insecure", ["false", "true"])
def test_mail_server_whose_certificate_nobody_vouches_for_gets_no_password(
    written: Stderr, secure: tuple[Mailbox, Logins, int], monkeypatch: pytest.MonkeyPatch, insecure: str
) -> None:
    box, logins, port = secure
    monkeypatch.delenv("SSL_CERT_FILE")
    set_up(SECURE_HOOK.format(port=port, password="hunter2-smtp", insecure=insecure)).error("over TLS")
    if insecure == "true":
        wait_until("the mail is there", lambda: box.mails)
    else:
        wait_until("it is said", lambda: "certificate verify failed" in written.getvalue())
        assert logins.encrypted == []


def test_disabled_hook_mails_nothing_and_an_unknown_level_means_panic(
    written: Stderr, mailbox: tuple[Mailbox, str]
) -> None:
    del written
    box, addr = mailbox
    disabled = HOOK.format(levels="error", addr=addr).replace("type:", "disabled: true, type:")
    logger = set_up(f"{{hooks: [{disabled}, {{type: other}}, {HOOK.format(levels='nonsense', addr=addr)}]}}")
    logger.error("no")
    logger.critical("yes")
    wait_until("the mail is there", lambda: box.mails)
    assert len(box.mails) == 1


def test_mail_server_that_is_away_holds_nothing_up(written: Stderr) -> None:
    logger = set_up(f"{{hooks: [{HOOK.format(levels='error', addr='127.0.0.1:1')}]}}")
    logger.error("x")
    logging.getLogger().handlers[1].flush()
    assert "mail to 127.0.0.1:1 failed: " in written.getvalue()


@pytest.mark.usefixtures("written")
def test_hook_without_a_server_stops_the_start() -> None:
    with pytest.raises(Exception, match=r"log\.hooks\[0\]\.options\.smtp\.addr: must be host:port, not ''"):
        set_up("{hooks: [{type: mail}]}")
    assert refusal("log: {level: trace}").startswith("log.level: ")
