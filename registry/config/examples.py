"""What could have been written instead of what cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.config.schema import keys
from registry.foundation.patterns import Pattern

if TYPE_CHECKING:
    from registry.config.schema import Shape

_BY_KEY: Final = {
    "storage": "{filesystem: {rootdirectory: /var/lib/registry}}",
    "storage.filesystem": "{rootdirectory: /var/lib/registry}",
    "auth": "{htpasswd: {realm: Registry, path: /etc/distribution/htpasswd}}",
    "auth.htpasswd": "{realm: Registry, path: /etc/distribution/htpasswd}",
    "http": '{addr: ":5000"}',
    "http.debug": '{addr: "localhost:5001"}',
    "http.tls": "{certificate: /etc/distribution/tls.crt, key: /etc/distribution/tls.key}",
    "notifications": "{endpoints: [{name: ci, url: https://ci.example/hook}]}",
    "notifications.endpoints": "[{name: ci, url: https://ci.example/hook}]",
    "log": "{level: info}",
    "redis": '{addrs: ["localhost:6379"]}',
}
_BY_TYPE: Final = {str: "TEXT", bool: "true", int: "100", float: "10s", Pattern: "PATTERN", object: "VALUE"}


def example(path: str, shape: Shape | None = None) -> str:
    """Return what may be written at `path`, to be put behind what is said of that key; "" if there is no example.

    There is one for any `shape`, and without it for the keys that people get wrong.
    """
    text = _BY_KEY.get(path) or (_sample(shape) if shape else "")
    return f"; write, for example, {path.rpartition('.')[2]}: {text}" if text else ""


def _sample(shape: Shape) -> str:
    if shape.is_section:
        name, key = next(iter(keys(shape.base).items()))
        return f"{{{name}: {_sample(key.shape)}}}"
    if shape.item:
        item = _sample(shape.item)
        return f"[{item}]" if shape.base is tuple else f"{{NAME: {item}}}"
    return shape.choices[0] if shape.choices else _BY_TYPE.get(shape.base, "")
