"""Redis as the configuration asks for it. The client library is imported here and not before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.config import ConfigurationError
from registry.foundation.extras import installing

if TYPE_CHECKING:
    from registry.config import Configuration
    from registry.redis.connecting import Connector
    from registry.redis.descriptors import RedisDescriptors, RedisObserver


def load_connector(configuration: Configuration) -> Connector | None:
    """Return what connects to redis, if anything asks for it; nothing is connected yet.

    Raises:
        ConfigurationError: the client library is not installed, or the ``redis`` section cannot be used.
    """
    if configuration.storage.cache.blobdescriptor != "redis":
        return None
    try:
        from registry.redis.connecting import connector  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError("redis", f"{error}; try: {installing('redis')}") from error
    return connector(configuration.redis)


def load_descriptors(configuration: Configuration, observer: RedisObserver | None) -> RedisDescriptors | None:
    """Return the cache of descriptors in redis, if that is what is asked for; call it after the fork.

    Raises:
        ConfigurationError: as load_connector().
    """
    found = load_connector(configuration)
    if found is None:
        return None
    from registry.redis.descriptors import RedisDescriptors  # noqa: PLC0415

    return RedisDescriptors(found, observer)
