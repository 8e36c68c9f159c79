from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.config import ConfigurationError
from registry.config.loading import parse
from registry.plugins import PluginError
from tests.config.forms import configure

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: /data
  delete:
    enabled: {deletes}
auth:
  local:
    rules:
      - repositories: a
        anonymous: [pull]
      - repositories: b
        user:bob: [pul]
http:
  headers:
    <<: {{X: [a, 5]}}
    Y:
      - b
      - {header}
  trustedproxies: [127.0.0.1,
                   {network}]
redis:
  addr: {redis}
"""
GOOD = {"deletes": "true", "header": "c", "network": "127.0.0.2", "redis": "a:1"}


def lines(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the lines with which the configuration is refused."""
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "/etc/c.yml", environ or {})
    return [error.line for error in caught.value.each]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"deletes": "1"}, "/etc/c.yml:6: storage.delete.enabled: must be true or false, not 1"),
        ({"header": "{}"}, "/etc/c.yml:19: http.headers.Y[1]: must be a string, not a mapping; quote it"),
        ({"network": "no"}, "/etc/c.yml:21: http.trustedproxies[1]: must be an address or a network, such as"),
        ({"redis": "{}"}, "/etc/c.yml:23: redis.addrs[0]: must be a string, not a mapping; quote it (set by"),
    ],
)  # fmt: skip
def test_an_error_names_the_line_of_its_key(changes: Mapping[str, str], expected: str) -> None:
    (line,) = lines(FILE.format(**{**GOOD, **changes}))
    assert line.startswith(expected)


def test_errors_that_have_nothing_to_do_with_each_other_are_told_together() -> None:
    found = lines(FILE.format(deletes="1", header="{}", network="no", redis="a"))
    assert [line.partition(": ")[0] for line in found] == ["/etc/c.yml:6", "/etc/c.yml:21", "/etc/c.yml:19"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("version: 0.1\nstorage: {a: , b: }\n", "/etc/c.yml:2: storage: must name exactly one type, given: a, b"),
        ("version: 0.1\n", "/etc/c.yml: storage: must name exactly one type, given: none"),
        ("# x\nversion: 0.2\n", "/etc/c.yml:2: version: unsupported (0.2)"),
        ("version: 0.1\nhttp:\n  addr: a: b\n", "/etc/c.yml:3: not YAML: line 3, column 10: "),
        ("version: 0.1\nhttp: *a\n", "/etc/c.yml:2: not YAML: line 2, column 7: "),
        ("version: 0.1\n? [a]\n: b\n", "/etc/c.yml:2: not YAML: line 2, column 3: a key must be"),
        ("- a\n", "/etc/c.yml: must hold a mapping of keys"),
    ],
)
def test_an_error_of_what_is_missing_or_not_yaml_names_what_it_can(text: str, line: str) -> None:
    assert lines(text)[0].startswith(line)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"REGISTRY_HTTP_NET": "udp"}, 'http.net: must be one of tcp, unix, not "udp" (set by REGISTRY_HTTP_NET)'),
        ({"REGISTRY_HTTP": "{net: udp}"}, 'http.net: must be one of tcp, unix, not "udp" (set by REGISTRY_HTTP)'),
        ({"REGISTRY_HTTP_NET": "[udp"}, "REGISTRY_HTTP_NET: not YAML: line 2, column 1: did not find"),
    ],
)
def test_an_error_of_a_variable_names_it_and_no_line(environ: Mapping[str, str], expected: str) -> None:
    (line,) = lines("version: 0.1\nstorage: inmemory\nhttp:\n  net: tcp\n", environ)
    assert line.startswith(expected)


def test_a_variable_is_named_once_however_many_blocks_the_error_passes_through() -> None:
    origins = parse("version: 0.1\nstorage: inmemory\n", "/etc/c.yml", {"REGISTRY_STORAGE": "none"}).origins
    with pytest.raises(ConfigurationError) as raised, origins.locating(), origins.locating():
        raise ConfigurationError("storage.none", "unknown")
    assert raised.value.line == "storage.none: unknown (set by REGISTRY_STORAGE)"


def test_an_error_of_a_plugin_names_the_line_of_the_parameter() -> None:
    origins = parse(FILE.format(**GOOD), "/etc/c.yml", {}).origins
    for where, path, line in (
        ("storage.filesystem", "rootdirectory", 4),
        ("storage.filesystem", "maxthreads", 3),
        ("auth.local", "rules[1].user:bob", 13),
        ("auth.local", "", 8),
    ):
        error = PluginError(where, "is wrong")
        error.path = path
        assert origins.located(error).line == f"/etc/c.yml:{line}: {where}: is wrong"


def test_a_warning_names_the_line_of_its_key() -> None:
    configuration = configure("http:\n  adress: x\n", {"REGISTRY_HTTP_ADRESS": "x"})
    assert [configuration.origins.located_warning(text) for text in configuration.warnings] == [
        "REGISTRY_HTTP_ADRESS: no such key, ignored (is REGISTRY_HTTP_ADDR meant?)",
        "config.yml:4: http.adress: unknown key, ignored (is addr meant?)",
    ]
