from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import redis

from registry.config import ConfigurationError
from registry.config.remote import Redis, RedisTLS
from registry.redis.connecting import connector
from tests.redis.server import RedisServer, quoted, running
from tests.server.tls.authority import Authority
from tests.serving import SECONDS, free_port, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from registry.redis.connecting import Client

PASSWORD = "p@ss:w/ö\"r'd %&=#?"


def remembers(section: Redis) -> bool:
    """Tell whether what is written by one client is read by another."""
    connect = connector(section).connect
    with closing(connect()) as writer, closing(connect()) as reader:
        writer.set("registry:a", 7, ex=60)
        return reader.get("registry:a") == b"7"


@pytest.mark.parametrize("protocol", [0, 2, 3])
def test_one_address_is_a_server(server: RedisServer, protocol: int) -> None:
    assert remembers(Redis(addrs=(server.addr,), protocol=protocol, disableidentity=protocol == 2))


def test_password_of_any_characters_lets_in(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, password=PASSWORD)
    with running(server):
        assert remembers(Redis(addrs=(server.addr,), password=PASSWORD))
        assert remembers(Redis(addrs=(server.addr,), username="default", password=PASSWORD))


def test_database_user_and_name_are_the_configured_ones(server: RedisServer) -> None:
    server.client().acl_setuser("registry", enabled=True, passwords=["+p"], keys=["registry:*"], commands=["+@all"])
    section = Redis(addrs=(server.addr,), db=3, username="registry", password="p", clientname="cache-of-images")
    with closing(connector(section).connect()) as client:
        client.set("registry:a", 1, ex=60)
        (found,) = (each for each in server.client().client_list() if each["name"] == "cache-of-images")
    assert (found["db"], found["user"]) == ("3", "registry")


def test_socket_in_the_file_system_is_an_address(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with running(RedisServer(tmp_path / "redis", (f"unixsocket {path}",))):
        assert remembers(Redis(addrs=(str(path),)))


def test_tls_presents_a_certificate_and_trusts_the_configured_authority(tmp_path: Path) -> None:
    ours, foreign = Authority.create(tmp_path / "ours"), Authority.create(tmp_path / "foreign")
    pair = ours.issue("client")
    presented = RedisTLS(certificate=str(pair.certificate), key=str(pair.key))
    server = RedisServer(tmp_path / "redis", tls=(ours.path, ours.issue("server")))
    with running(server):
        assert remembers(Redis(addrs=(server.addr,), tls=replace(presented, rootcas=(str(ours.path),))))
        with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
            remembers(Redis(addrs=(server.addr,), tls=replace(presented, rootcas=(str(foreign.path),))))
        with pytest.raises(redis.ConnectionError):
            remembers(Redis(addrs=(server.addr,), tls=RedisTLS(rootcas=(str(ours.path),))))


def test_master_is_found_through_sentinels_and_again_after_a_failover(tmp_path: Path) -> None:
    master = RedisServer(tmp_path / "master", password=PASSWORD)
    with running(master):
        follows = (f"replicaof 127.0.0.1 {master.port}", f"masterauth {quoted(PASSWORD)}")
        replica = RedisServer(tmp_path / "replica", follows, PASSWORD)
        sentinel = sentinel_of(tmp_path, master)
        with running(replica, sentinel):
            wait_until("the sentinel knows the replica", lambda: sentinel.client().sentinel_slaves("images"))
            section = Redis(
                addrs=("127.0.0.1:1", sentinel.addr),
                mastername="images",
                password=PASSWORD,
                sentinelpassword=PASSWORD,
                db=2,
            )
            with closing(connector(section).connect()) as client:
                client.set("registry:a", 7, ex=600)
                assert client.get("registry:a") == b"7"
                wait_until("it is replicated", lambda: answers(client, replica))
                master.kill()
                wait_until("the other one takes over", lambda: writes(client), seconds=2 * SECONDS)
                assert client.get("registry:a") == b"8"


def sentinel_of(directory: Path, master: RedisServer) -> RedisServer:
    """Return a sentinel that alone decides on `master`, with the same password."""
    settings = (
        f"sentinel monitor images 127.0.0.1 {master.port} 1",
        f"sentinel auth-pass images {quoted(master.password)}",
        "sentinel down-after-milliseconds images 1000",
        "sentinel failover-timeout images 10000",
    )
    return RedisServer(directory / "sentinel", settings, master.password, is_sentinel=True)


def answers(client: Client, replica: RedisServer) -> bool:
    copy = replica.client()
    copy.select(2)
    return bool(copy.get("registry:a") == client.get("registry:a"))


def writes(client: Client) -> bool:
    try:
        return bool(client.set("registry:a", 8, ex=600))
    except Exception:  # noqa: BLE001  whatever it says until then
        return False


def test_several_addresses_are_a_cluster(tmp_path: Path) -> None:
    buses = [free_port() for _ in range(3)]
    nodes = [
        RedisServer(tmp_path / str(bus), ("cluster-enabled yes", f"cluster-port {bus}"), PASSWORD) for bus in buses
    ]
    with running(*nodes):
        form_cluster(nodes, buses)
        section = Redis(addrs=tuple(node.addr for node in nodes), password=PASSWORD, readonly=True)
        wait_until("the cluster is complete", lambda: spread(section))


def form_cluster(nodes: list[RedisServer], buses: list[int]) -> None:
    """Give each of `nodes` its part of the slots, and let them meet."""
    slots = 16384
    bounds = [slots * n // len(nodes) for n in range(len(nodes) + 1)]
    for node, first, last in zip(nodes, bounds, bounds[1:], strict=False):
        node.client().execute_command("CLUSTER ADDSLOTSRANGE", first, last - 1)
        node.client().execute_command("CLUSTER MEET", "127.0.0.1", nodes[0].port, buses[0])


def spread(section: Redis) -> bool:
    """Tell whether keys of all slots are remembered."""
    try:
        with closing(connector(section).connect()) as client:
            for number in range(50):
                client.set(f"registry:{number}", number, ex=60)
            return all(client.get(f"registry:{number}") == b"%d" % number for number in range(50))
    except Exception:  # noqa: BLE001  until they have met
        return False


@pytest.mark.parametrize(
    "addr", ["", ":6379", "a:b", "a:0", "a:65536", "redis://user:secret@a:6379", "user:secret@a:6379", "a/b"]
)
def test_address_that_is_none_is_one_line_that_does_not_repeat_it(addr: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connector(Redis(addrs=("a:1", addr)))
    assert str(caught.value) == "redis.addrs[1]: must be HOST:PORT or the path of a socket"


@pytest.mark.parametrize(
    ("section", "line"),
    [
        (Redis(addrs=("a:1",), protocol=4), "redis.protocol: must be 2 or 3, not 4"),
        (Redis(addrs=("a:1", "/s")), "redis.addrs: a socket can only be the address of a single server"),
        (Redis(addrs=("/s",), mastername="m"), "redis.addrs: a socket can only be the address of a single server"),
    ],
)
def test_section_that_nothing_can_connect_by_is_one_line(section: Redis, line: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connector(section)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("tls", "line"),
    [
        (RedisTLS(rootcas=("/nowhere",)), "redis.tls.rootcas[0]: /nowhere: No such file or directory"),
        (RedisTLS(rootcas=("/etc/hostname",)), "redis.tls.rootcas[0]: /etc/hostname: "),
        (RedisTLS(certificate="/no.crt", key="/no.key"), "redis.tls.certificate: /no.crt, /no.key: No such file"),
        (RedisTLS(key="/no.key"), "redis.tls.certificate: , /no.key: No such file"),
    ],
)
def test_file_that_cannot_be_used_is_one_line(tls: RedisTLS, line: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connector(Redis(addrs=("a:1",), tls=tls))
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
