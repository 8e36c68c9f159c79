from __future__ import annotations

import configparser
import re
from pathlib import Path

import gunicorn
import pytest
from gunicorn.config import Config
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from registry.server.gunicorn_internals import Settings, parse_head

ROOT = Path(__file__).parents[2]
TRIED = ("26.2.0", "27.0.0", "27.0.1")
"""The versions of gunicorn that all tests of the server have passed with; try another one before you add it."""
UNTRIED = ("26.1.0", "26.1.9", "27.0.2", "27.1.0", "28.0.0")
TRIED_PARSERS = ("0.6.10",)
"""The versions of gunicorn_h1c, gunicorn's parser in C, that they passed with; later ones of 0.6 are allowed, too:
the extra "fast" of gunicorn 27 asks for 0.6.14, and PyPI had none after 0.6.10 to try."""
UNTRIED_PARSERS = ("0.4.1", "0.6.0", "0.6.9", "0.7.0")
EXTENSION_POINTS = {"gunicorn.app.base", "gunicorn.workers", "gunicorn.workers.base", "gunicorn.glogging"}


def test_the_installed_version_is_one_that_was_tried() -> None:
    assert gunicorn.__version__ in TRIED


@pytest.mark.parametrize(
    ("section", "key", "package", "tried", "untried"),
    [
        ("options", "install_requires", "gunicorn", TRIED, UNTRIED),
        ("options.extras_require", "fast", "gunicorn_h1c", TRIED_PARSERS, UNTRIED_PARSERS),
    ],
)
def test_setup_allows_the_versions_that_were_tried_and_not_these_others(
    section: str, key: str, package: str, tried: tuple[str, ...], untried: tuple[str, ...]
) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    (required,) = re.findall(rf"^{package}([<>=].*)$", setup[section][key], re.MULTILINE)
    allowed = SpecifierSet(required)
    assert [each for each in tried + untried if Version(each) in allowed] == list(tried)


def test_one_module_looks_inside_of_gunicorn() -> None:
    others = [path for path in (ROOT / "registry").rglob("*.py") if path.name != "gunicorn_internals.py"]
    imported = {
        (str(path), name)
        for path in others
        for name in re.findall(r"^\s*(?:from|import) (gunicorn[\w.]*)", path.read_text(), re.MULTILINE)
    }
    assert {name for _, name in imported} >= {"gunicorn.app.base", "gunicorn.glogging"}
    assert [(path, name) for path, name in imported if name not in EXTENSION_POINTS] == []


def test_settings_are_those_of_the_configuration() -> None:
    configuration = Config()
    configuration.set("keepalive", 75)
    configuration.set("forwarded_allow_ips", "*")

    settings = Settings(configuration)

    for name in configuration.settings:
        assert getattr(settings, name) == getattr(configuration, name), name
    assert settings.keepalive == 75
    assert settings.is_ssl is False
    assert settings.proxy_allow_networks() == configuration.proxy_allow_networks()


def test_a_request_believes_no_header_about_its_client() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Ssl: on\r\nX_A: b\r\n\r\n"
    configuration = Config()
    configuration.set("forwarded_allow_ips", "*")
    configuration.set("forwarder_headers", "*")

    request, rest = parse_head(Settings(configuration), head + b"next", ("127.0.0.1", 1))

    assert request.scheme == "http"
    assert "X_A" not in dict(request.headers)
    assert rest == b"next"


def test_settings_know_of_tls() -> None:
    configuration = Config()
    configuration.set("certfile", "certificate.pem")

    assert Settings(configuration).is_ssl is True
