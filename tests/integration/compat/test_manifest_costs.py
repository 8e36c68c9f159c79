"""The most that a manifest of 4 MiB can cost, beside registry:3: seconds of CPU, and memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registry.oci.documents import MAX_VALUES
from registry.oci.manifest import MAX_SIZE
from tests.integration.clients import missing
from tests.integration.compat.seeding import OCI_IMAGE
from tests.integration.servers import distribution_v3, ours
from tests.integration.test_memory import forget_peaks, peak_bytes

if TYPE_CHECKING:
    from tests.integration.conftest import StartServer
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(300)

BEGIN = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",'
PUSHES = 5
TIMES = 3
MIB = 1 << 20
# A tick of the clock and of the allocator: the least that can be told apart.
SLACK_SECONDS = 0.05
SLACK_BYTES = 16 * MIB
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def repeated(begin: bytes, item: bytes, end: bytes, most: int = MAX_SIZE) -> bytes:
    """Return a document of MAX_SIZE bytes with as many of `item` as fit in, but at most `most`; text fills it up."""
    numbered = b"%" in item
    length = len(item % 0 if numbered else item) + 1
    count = min(most, (MAX_SIZE - len(BEGIN + begin + end) - 20) // length)
    items = b",".join(item % number if numbered else item for number in range(count))
    document = BEGIN + begin + items + end
    return document + b',"fill":"' + b"x" * (MAX_SIZE - len(document) - 11) + b'"}'


DOCUMENTS = {
    "lists": repeated(b'"a":[', b"[]", b"]"),
    "objects": repeated(b'"a":[', b'{"":0}', b"]"),
    "keys": repeated(b'"a":{', b'"%06x":0', b"}"),
    "numbers": repeated(b'"a":[', b"1e9", b"]"),
    "text": repeated(b'"a":[', b'",,"', b"]"),
    "long integers": repeated(b'"a":[', b"9" * 4000, b"]"),
    "one integer": BEGIN + b'"a":' + b"9" * (MAX_SIZE - 200) + b"}",
    "lists at the limit": repeated(b'"a":[', b"[]", b"]", MAX_VALUES // 2 - 9),
    "objects at the limit": repeated(b'"a":[', b'{"%06x":{}}', b"]", MAX_VALUES // 3 - 9),
    "keys at the limit": repeated(b'"a":{', b'"%06x":0', b"}", MAX_VALUES - 9),
    "members at the limit": repeated(b"", b'"%06x":0', b"", MAX_VALUES - 9),
    "annotations at the limit": repeated(b'"annotations":{', b'"%06x":""', b"}", MAX_VALUES - 9),
    "descriptors": repeated(b'"layers":[', b'{"Digest":"sha256:%064x","size":1}', b"]"),
    "urls": repeated(b'"layers":[{"urls":[', b'"http://a/"', b"]}]"),
    "nothing": repeated(b'"a":[', b"0", b"]", 1),
}


def cpu_seconds(server: Server) -> float:
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in server.processes()]
    return sum(int(each[11]) + int(each[12]) for each in fields) / TICKS_A_SECOND


def cost(server: Server, content: bytes) -> tuple[float, int]:
    """Return seconds of CPU that pushes of a manifest cost, and by how many bytes the server's memory peaked."""
    forget_peaks(server)
    before, resident = cpu_seconds(server), peak_bytes(server)
    for _ in range(PUSHES):
        assert server.api.put_manifest("a", "x", content).status == 400
    return cpu_seconds(server) - before, peak_bytes(server) - resident


def test_no_manifest_costs_more_than_three_times_what_it_costs_registry_3(
    start_server: StartServer, tmp_path: Path
) -> None:
    flavour = distribution_v3()
    if flavour is None:
        missing("the Go registry (v3)")
    theirs, mine = (start_server(each, root=tmp_path / each.name) for each in (flavour, ours()) if each)
    for server in (theirs, mine):
        assert server.api.put_manifest("a", "x", OCI_IMAGE).status == 400

    table = {name: (*cost(mine, content), *cost(theirs, content)) for name, content in DOCUMENTS.items()}

    for name, (cpu, memory, their_cpu, their_memory) in table.items():
        print(f"{name:25} {cpu:5.2f} s {memory / MIB:4.0f} MiB, v3 {their_cpu:5.2f} s {their_memory / MIB:4.0f} MiB")
    slow = [name for name, (cpu, _, their_cpu, _) in table.items() if cpu > TIMES * their_cpu + SLACK_SECONDS]
    large = [name for name, (_, held, _, their_held) in table.items() if held > TIMES * max(their_held, SLACK_BYTES)]
    assert (slow, large) == ([], [])
