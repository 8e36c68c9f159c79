from __future__ import annotations

import subprocess
import sys

import pytest

from registry.config import ConfigurationError
from registry.foundation.extras import installing
from registry.redis.loading import load_connector
from tests.config.forms import configure

REDIS = "version: 0.1\nstorage: {inmemory: , cache: {blobdescriptor: redis}}\nredis: {addrs: ['a:1']}\n"


def test_missing_library_is_one_line_naming_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "registry.redis.connecting", raising=False)

    with pytest.raises(ConfigurationError) as caught:
        load_connector(configure(base=REDIS))

    assert str(caught.value).startswith("redis: ")
    assert str(caught.value).endswith(f"; try: {installing('redis')}")


def test_library_is_imported_where_it_is_asked_for_and_nowhere_else() -> None:
    program = (
        "import sys; from registry.app import create_app; from registry.services import build_services;"
        "from registry.config.loading import parse;"
        "create_app(build_services(parse({!r}, 'config.yml', {{}}))); print('redis' in sys.modules)"
    )

    def imported(text: str) -> str:
        return subprocess.check_output([sys.executable, "-c", program.format(text)], text=True).strip()

    assert imported(REDIS) == "True"
    assert imported(REDIS.replace("blobdescriptor: redis", "blobdescriptor: inmemory")) == "False"
