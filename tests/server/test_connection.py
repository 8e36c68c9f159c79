from __future__ import annotations

from gunicorn.config import Config

from registry.server.connection import Settings


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
