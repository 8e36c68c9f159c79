from __future__ import annotations

import configparser
import re
from pathlib import Path

import gunicorn
from gunicorn.config import Config
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from registry.server.gunicorn_internals import Settings

ROOT = Path(__file__).parents[2]
TRIED = ("26.2.0", "27.0.0", "27.0.1")
"""The versions of gunicorn that all tests of the server have passed with; try another one before you add it."""
UNTRIED = ("26.1.0", "26.1.9", "27.0.2", "27.1.0", "28.0.0")
EXTENSION_POINTS = {"gunicorn.app.base", "gunicorn.workers", "gunicorn.workers.base", "gunicorn.glogging"}


def test_the_installed_version_is_one_that_was_tried() -> None:
    assert gunicorn.__version__ in TRIED


def test_setup_allows_the_versions_that_were_tried_and_no_others() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    (required,) = re.findall(r"^gunicorn([<>=].*)$", setup["options"]["install_requires"], re.MULTILINE)
    allowed = SpecifierSet(required)
    assert [version for version in TRIED + UNTRIED if Version(version) in allowed] == list(TRIED)


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


def test_settings_know_of_tls() -> None:
    configuration = Config()
    configuration.set("certfile", "certificate.pem")

    assert Settings(configuration).is_ssl is True
