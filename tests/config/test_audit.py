from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.config import ConfigurationError
from registry.config.events import Audit
from registry.config.loading import parse
from registry.config.outputs import SyslogTarget, syslog_target

if TYPE_CHECKING:
    from registry.config.values import Configuration

BASE = "version: 0.1\nstorage: {inmemory: {}}\n"


def configure(text: str) -> Configuration:
    return parse(f"{BASE}{text}\n", "config.yml", {})


def test_the_audit_log_is_off_by_default() -> None:
    assert configure("").audit == Audit(
        enabled=False, keep_seconds=400 * 86400, maxsize=10 * 2**30, pulls=False, stdout=False, syslog=""
    )


def test_all_of_it_can_be_set() -> None:
    section = configure(
        "audit: {enabled: true, keep: 30d, maxsize: 1.5GiB, pulls: true, stdout: true, syslog: udp://siem}"
    ).audit
    assert section == Audit(
        enabled=True, keep_seconds=30 * 86400, maxsize=3 * 2**29, pulls=True, stdout=True, syslog="udp://siem"
    )


@pytest.mark.parametrize(("text", "size"), [("4096", 4096), ("'4096'", 4096), ("0", 10 * 2**30), ("20MB", 20_000_000)])
def test_a_size_may_have_a_unit_and_zero_is_the_default(text: str, size: int) -> None:
    assert configure(f"audit: {{maxsize: {text}}}").audit.maxsize == size


def test_a_variable_may_set_a_size() -> None:
    assert parse(BASE, "config.yml", {"REGISTRY_AUDIT_MAXSIZE": "2GiB"}).audit.maxsize == 2 * 2**30


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("maxsize: much", 'audit.maxsize: must be a number of bytes such as 10GiB, not "much"'),
        ("maxsize: 1.5", "audit.maxsize: must be a number of bytes such as 10GiB, not 1.5"),
        ("maxsize: -5GiB", 'audit.maxsize: must be a number of bytes such as 10GiB, not "-5GiB"'),
        ("maxsize: -5", "audit.maxsize: must be at least 0, not -5"),
        ("maxsize: [1]", "audit.maxsize: must be a number of bytes such as 10GiB, not a list"),
        ("maxsize: 99999999TiB", "audit.maxsize: must be less than 2**63"),
        ("keep: 400", "audit.keep: must be a duration such as 1h30m, not 400; a unit is missing"),
        ("stdout: loud", 'audit.stdout: must be true or false, not "loud"'),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_key(text: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        configure(f"audit: {{{text}}}")
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("udp://siem.example", SyslogTarget("udp", "siem.example", 514)),
        ("udp://siem.example:5514", SyslogTarget("udp", "siem.example", 5514)),
        ("tcp://[2001:db8::1]:601", SyslogTarget("tcp", "2001:db8::1", 601)),
        ("unix:///dev/log", SyslogTarget("unix", path="/dev/log")),
    ],
)
def test_a_syslog_is_named_by_a_url(text: str, target: SyslogTarget) -> None:
    assert syslog_target(configure(f"audit: {{enabled: true, syslog: '{text}'}}").audit) == target


@pytest.mark.parametrize(
    "text",
    ["siem:514", "http://siem:514", "udp://", "udp://:514", "tcp://siem:0", "tcp://siem:99999", "udp://a b:x",
     "unix://dev/log", "unix:", "tcp://siem:514/path", "tcp://siem?x=1", "udp://user:password@siem", "tcp://[::1",
     "udp://a..b:514", f"tcp://{'a' * 64}.example", "udp://.siem", "tcp://[zz::1]:601", "udp://[siem:]"],
)  # fmt: skip
def test_a_syslog_that_cannot_be_reached_by_any_means_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"audit.syslog: must be udp://HOST:PORT") as raised:
        configure(f"audit: {{syslog: '{text}'}}")
    assert "password@" not in str(raised.value)


@pytest.mark.parametrize("path", ["/dev/lo%00g", "/" + "x" * 108, "/" + "%C3%A9" * 60])
def test_a_path_that_no_socket_can_have_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"audit.syslog: has a path that has a NUL or more than 107 bytes"):
        configure(f"audit: {{syslog: 'unix://{path}'}}")


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("audit: {keep: 1h}", "audit: ignored, as audit.enabled is not set"),
        ("audit: {enabled: true}\nstorage: {inmemory: {}, maintenance: {readonly: {enabled: true}}}", "is read-only"),
    ],
)
def test_what_has_no_effect_is_a_warning(text: str, warned: str) -> None:
    text = text if "storage" in text else f"storage: {{inmemory: {{}}}}\n{text}"
    (warning,) = parse(f"version: 0.1\n{text}\n", "config.yml", {}).warnings
    assert warned in warning
