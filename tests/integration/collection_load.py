"""Clients that push, tag, mount and delete while blobs are collected, and what they were promised meanwhile."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tests.integration.api import OCI_INDEX, OCI_MANIFEST, digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.integration.api import Answer, Api

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
REPOSITORIES = ("soak/a", "soak/b", "soak/c")
"""All clients push to all of them; a tag belongs to one client."""
BLOBS = [bytes([number]) * 2000 + b"layer %d" % number for number in range(12)]
"""All clients push the same few again and again: each is condemned by one run and pushed by somebody else."""
EXIT_BUSY = 4
PACE = {"announced": 1.0, "cached": 0.3, "beat": 0.3, "reliance": 4.0, "margin": 1.0, "closed": 10.0}
"""How fast collections go, in seconds, of the programs that PROGRAM starts and whose variable PACE has this as JSON."""
PACED = Path(__file__).parents[1] / "lifecycle/pace.py"
PROGRAM = (sys.executable, str(PACED), sys.executable, "-m", "registry")
TRIES = 60
RETRY_SECONDS = 0.5

Tag = tuple[str, str]
Descriptor = dict[str, Any]


class PromiseBrokenError(Exception):
    """A client was refused what relies on an answer that it got a moment ago."""


class Worker(Protocol):
    """What works beside others until the time is over."""

    def work(self, over: threading.Event) -> None: ...


def work_together(workers: Sequence[Worker], seconds: float) -> None:
    """Let all `workers` work at the same time for so many seconds, or until one of them fails."""
    over = threading.Event()
    with ThreadPoolExecutor(len(workers)) as pool:
        working = [pool.submit(each.work, over) for each in workers]
        ending = time.monotonic() + seconds
        while time.monotonic() < ending and not any(each.done() for each in working):
            time.sleep(0.2)
        over.set()
        for each in working:
            each.result()


@dataclass
class Client:
    """One client, with tags of its own; `grace_seconds` is for how long an answer to HEAD or to a push is relied on."""

    name: str
    apis: Sequence[Api]
    grace_seconds: float
    tags: dict[Tag, str] = field(default_factory=dict)
    """What was acknowledged: the digest that each tag points to."""
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.name)
        self._number = 0

    def work(self, over: threading.Event) -> None:
        """Do one thing after the other."""
        while not over.is_set():
            does = self._chance.choices(
                [self.push_image, self.push_index, self.tag_again, self.delete_tag, self.delete_manifest],
                [8, 3, 3, 2, 2],
            )[0]
            repository = self._chance.choice(REPOSITORIES)
            if does(repository):
                self.done[does.__name__] += 1

    def push_image(self, repository: str) -> bool:
        """Push an image that no other client has, of layers that all have."""
        began, media_type, content = time.monotonic(), OCI_MANIFEST, json.dumps(self._image(repository)).encode()
        tag = f"{self.name}-{self._chance.randrange(6)}"
        return self._put(repository, tag, media_type, content, began)

    def push_index(self, repository: str) -> bool:
        """Push two images by their digests, as a multi-arch push does, and then their index."""
        began, children = time.monotonic(), []
        for architecture in ("amd64", "arm64"):
            content = json.dumps(self._image(repository)).encode()
            digest = digest_of(content)
            if not self._put(repository, digest, OCI_MANIFEST, content, began):
                return False
            platform = {"os": "linux", "architecture": architecture}
            children.append(_descriptor(OCI_MANIFEST, content) | {"platform": platform})
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}
        return self._put(repository, f"{self.name}-index", OCI_INDEX, json.dumps(index).encode(), began)

    def tag_again(self, repository: str) -> bool:
        """Give a manifest that is there another tag, as ``docker tag`` and ``crane tag`` do; HEAD comes first."""
        mine = [tag for tag in self.tags if tag[0] == repository]
        if not mine:
            return False
        began = time.monotonic()
        answer = self._send("GET", f"/v2/{repository}/manifests/{self._chance.choice(mine)[1]}")
        if answer.status != 200:
            raise PromiseBrokenError(f"a tag that nobody else moves is answered with {answer}")
        media_type = answer.headers["Content-Type"]
        return self._put(repository, f"{self.name}-again", media_type, answer.body, began)

    def delete_tag(self, repository: str) -> bool:
        """Delete a tag: its manifest is garbage if it was the last one."""
        return self._delete(repository, lambda tag: tag)

    def delete_manifest(self, repository: str) -> bool:
        """Delete a manifest with all of its tags."""
        return self._delete(repository, lambda tag: self.tags[repository, tag])

    def _delete(self, repository: str, reference: Any) -> bool:
        mine = [tag for name, tag in self.tags if name == repository]
        if not mine:
            return False
        tag = self._chance.choice(mine)
        digest, target = self.tags[repository, tag], reference(tag)
        answer = self._send("DELETE", f"/v2/{repository}/manifests/{target}")
        if answer.status != 202:
            raise PromiseBrokenError(f"{repository}:{tag} cannot be deleted: {answer}")
        if target == tag:
            del self.tags[repository, tag]
        else:
            self.tags = {
                key: value for key, value in self.tags.items() if not (key[0] == repository and value == digest)
            }
        return True

    def _image(self, repository: str) -> Descriptor:
        """Push what an image consists of, whatever is not there, and return its manifest."""
        self._number += 1
        config = json.dumps({"client": self.name, "number": self._number}).encode()
        layers = self._chance.sample(BLOBS, 3)
        for content in (config, *layers):
            self._provide(repository, content)
        return {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": _descriptor(CONFIG_TYPE, config),
            "layers": [_descriptor(LAYER_TYPE, content) for content in layers],
        }

    def _provide(self, repository: str, content: bytes) -> None:
        """Look for a blob as clients do; mount or push it if it is not there."""
        digest = digest_of(content)
        if self._send("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200:
            self.done["found"] += 1
            return
        query = ""
        if self._chance.random() < 0.5:
            query = f"?mount={digest}&from={self._chance.choice(REPOSITORIES)}"
        answer = self._send("POST", f"/v2/{repository}/blobs/uploads/{query}")
        if answer.status == 201:
            self.done["mounted"] += 1
            return
        assert answer.status == 202, answer
        separator = "&" if "?" in answer.location else "?"
        finished = self._send("PUT", f"{answer.location}{separator}digest={digest}", content)
        assert finished.status == 201, finished
        self.done["uploaded"] += 1

    def _put(self, repository: str, reference: str, media_type: str, content: bytes, began: float) -> bool:
        """Push a manifest; what it names was there when `began`, or later."""
        answer = self._send("PUT", f"/v2/{repository}/manifests/{reference}", content, {"Content-Type": media_type})
        if answer.status == 201:
            if ":" not in reference:
                self.tags[repository, reference] = digest_of(content)
            return True
        if time.monotonic() - began < self.grace_seconds:
            raise PromiseBrokenError(f"{repository}/{reference} is refused: {answer}")
        # This machine was too slow: the grace, which is hours elsewhere, had passed.
        self.done["late"] += 1
        return False

    def _send(
        self, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a request to any of the servers, again where it is told to come back later."""
        accept = {"Accept": f"{OCI_INDEX}, {OCI_MANIFEST}"}
        for _ in range(TRIES):
            answer = self._chance.choice(self.apis).request(method, target, body, accept | (headers or {}))
            if answer.status != 503:
                return answer
            self.done["told to come back"] += 1
            time.sleep(RETRY_SECONDS)
        raise PromiseBrokenError(f"{method} {target} was told to come back {TRIES} times")


def _descriptor(media_type: str, content: bytes) -> Descriptor:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def faults(api: Api, tags: dict[Tag, str]) -> list[str]:
    """List what is missing of what `tags` point to, asked through the API as a client that pulls does."""
    return [fault for (repository, tag), digest in tags.items() for fault in _of_tag(api, repository, tag, digest)]


def _of_tag(api: Api, repository: str, tag: str, digest: str) -> list[str]:
    answer = api.manifest(repository, tag)
    if answer.status != 200 or digest_of(answer.body) != digest:
        return [f"{repository}:{tag} should be {digest} and is {answer.status} {answer.body[:100]!r}"]
    return [f"{repository}:{tag}: {fault}" for fault in _of_manifest(api, repository, answer.json())]


def _of_manifest(api: Api, repository: str, manifest: Any) -> list[str]:
    found = []
    for child in manifest.get("manifests", ()):
        answer = api.manifest(repository, child["digest"])
        if answer.status != 200 or digest_of(answer.body) != child["digest"]:
            found.append(f"{child['digest']} is {answer.status}")
        else:
            found += _of_manifest(api, repository, answer.json())
    blobs = [manifest["config"], *manifest["layers"]] if "config" in manifest else []
    for blob in blobs:
        answer = api.blob(repository, blob["digest"])
        if answer.status != 200 or digest_of(answer.body) != blob["digest"]:
            found.append(f"the blob {blob['digest']} is {answer.status}")
    return found
