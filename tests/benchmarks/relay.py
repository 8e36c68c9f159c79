"""A relay before an upstream or a store, which is as far away as is wanted: it delays requests, and counts what passes.

What it adds is latency: a new connection and each request wait once; the rest of a long body follows without a pause,
and so do answers. A client that waits for "100 Continue" waits once more, as it would for a server that is far away.

A process of its own, so that its CPU time is nobody else's. It prints its port, and for each line that it reads, the
seconds to delay requests by from then on, one of JSON: how many requests there were, and bytes of answers.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_REQUEST = b" HTTP/1.1\r\n"
_PIECE_BYTES = 1024 * 1024
FAR_SECONDS = 0.02
"""How far away something is, there and back: a store or registry of the same region."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What an upstream was asked: the number of requests, and the bytes of its answers with their heads."""

    requests: int
    size: int

    def __sub__(self, earlier: Traffic) -> Traffic:
        return Traffic(self.requests - earlier.requests, self.size - earlier.size)


class Relay:
    """One that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port = int(self._heard())

    def delay(self, seconds: float) -> Traffic:
        """Delay each request by so much from now on; return what there was so far."""
        if self._process.stdin is None:
            raise RuntimeError("the relay has no input")
        print(seconds, file=self._process.stdin, flush=True)
        return Traffic(**json.loads(self._heard()))

    def _heard(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError("the relay has ended")
        return line


@contextmanager
def running_relay(port: int) -> Iterator[Relay]:
    """Give one to the server on `port` of this machine."""
    command = [sys.executable, "-m", "tests.benchmarks.relay", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Relay(process)
        finally:
            process.kill()


class _Relaying:
    """Relays connections to `port`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._requests = 0
        self._size = 0
        self.delay_seconds = 0.0

    def told(self) -> str:
        with self._lock:
            return json.dumps({"requests": self._requests, "size": self._size})

    def accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._port)) as server:
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answered = threading.Event()
            answering = threading.Thread(target=self._answer, args=(server, client, answered), daemon=True)
            answering.start()
            time.sleep(self.delay_seconds)
            answered.set()
            with contextlib.suppress(OSError):
                self._ask(client, server, answered)
            _end(server)
            answering.join()

    def _ask(self, client: socket.socket, server: socket.socket, answered: threading.Event) -> None:
        """Pass requests on, each after a delay: one begins with what comes after something was `answered`."""
        while asked := client.recv(_PIECE_BYTES):
            with self._lock:
                self._requests += asked.count(_REQUEST)
            if answered.is_set():
                answered.clear()
                time.sleep(self.delay_seconds)
            server.sendall(asked)

    def _answer(self, server: socket.socket, client: socket.socket, answered: threading.Event) -> None:
        """Pass answers on within the kernel, so that the relay takes little of the processors that are measured."""
        out, into = os.pipe()
        try:
            fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, _PIECE_BYTES)
            while came := os.splice(server.fileno(), into, _PIECE_BYTES):
                with self._lock:
                    self._size += came
                answered.set()
                while came:
                    came -= os.splice(out, client.fileno(), came)
        except OSError:
            pass  # one of them has gone
        finally:
            os.close(out)
            os.close(into)
            _end(client)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def main() -> None:
    """Relay to the port that is given, from one that is free."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    relaying = _Relaying(parser.parse_args().port)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        print(listener.getsockname()[1], flush=True)
        threading.Thread(target=relaying.accept, args=(listener,), daemon=True).start()
        for line in sys.stdin:
            relaying.delay_seconds = float(line)
            print(relaying.told(), flush=True)


if __name__ == "__main__":
    main()
