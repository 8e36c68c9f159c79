"""What is remembered of heads changes nothing: each is read as gunicorn reads it alone."""

from __future__ import annotations

import pytest
from gunicorn.config import Config

from registry.server.gunicorn_internals import Settings, errors
from registry.server.heads import Heads

CLIENT = ("127.0.0.1", 1234)
LINES = [
    b"GET /v2/ HTTP/1.1",
    b"HEAD /v2/a/b/blobs/sha256:12 HTTP/1.1",
    b"PUT /v2/a/blobs/uploads/x?_state=a%2Fb&digest=sha256:12?c HTTP/1.1",
    b"POST /v2/a/blobs/uploads/? HTTP/1.1",
    b"GET /v2/a%2Fb/tags/list?n=1 HTTP/1.1",
    b"GET //v2/ HTTP/1.1",
    b"GET http://b/v2/ HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"GET /v2/ HTTP/1.0",
    b"GET /v2/#a HTTP/1.1",
    b"GET /v2/?a#b HTTP/1.1",
    b"GET  /v2/ HTTP/1.1",
    b"GET /v2/\x80 HTTP/1.1",
    b"GET /v2/\r HTTP/1.1",
    b"get /v2/ HTTP/1.1",
    b"GET /v2/ HTTP/1.2",
    b"GET /v2/ HTTP/2.0",
    b"CONNECT a:1 HTTP/1.1",
]
FIELDS = [
    b"Host: a:5000\r\n",
    b"Host: a\r\nAccept: b\r\naccept: c\r\nConnection: close\r\n",
    b"Host: a\r\nContent-Length: 3\r\nContent-Type: a/b\r\nExpect: 100-continue\r\n",
    b"Host: a\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n",
    b"Host: a\r\nX-Forwarded-Proto: https\r\nX_A: b\r\nX-L: \xe4\r\n",
    b"Host: a\r\nAuthorization: Basic YTpi\r\n",
    b"",
    b"Host: a\r\nHost: b\r\n",
    b"Host: a b\r\n",
    b"Host: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    b"Host: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n",
    b"Host: a\r\nTransfer-Encoding: gzip, chunked\r\n",
    b"Host: a\r\nExpect: more\r\n",
    b"Host: a\r\nX: b\r\n folded\r\n",
    b"Host: a\r\nX : b\r\n",
    b"Host: a\r\nX: b\0\r\n",
    b"Host: a\nX: b\r\n",
    b"Host: a\r\nX: b\n\n",
]


@pytest.fixture(params=["auto", "python"])
def heads(request: pytest.FixtureRequest) -> Heads:
    configuration = Config()
    configuration.set("http_parser", request.param)
    return Heads(Settings(configuration))


def read(heads: Heads, head: bytes) -> object:
    """Return what was read, or the error that it was refused with."""
    try:
        return heads.read(head, CLIENT)
    except errors.ParseException as error:
        return type(error), str(error)


@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.parametrize("line", LINES)
def test_a_head_is_read_as_by_gunicorn_the_first_time_and_the_next(heads: Heads, line: bytes, fields: bytes) -> None:
    head = line + b"\r\n" + fields + b"\r\nbody\r\n\r\n"
    alone = Heads(heads._settings)
    alone._read_plain = lambda *_: None  # type: ignore[method-assign]
    wanted = read(alone, head)

    assert [read(heads, head) for _ in range(2)] == [wanted, wanted]


def test_fields_are_parsed_once_for_whatever_is_asked_with_them(heads: Heads) -> None:
    for number in range(10):
        request, rest = heads.read(b"GET /v2/%d HTTP/1.1\r\n%b\r\nrest" % (number, FIELDS[0]), ("127.0.0.1", number))
        assert (request.path, request.peer_addr, rest) == (f"/v2/{number}", ("127.0.0.1", number), b"rest")
        assert request.fields.variables == {"HTTP_HOST": "a:5000"}

    assert heads.remembered.cache_info().hits == 9


def test_memory_is_bounded_and_no_password_is_kept(heads: Heads) -> None:
    for number in range(1000):
        read(heads, b"GET / HTTP/1.1\r\nHost: a\r\nX: %d\r\n\r\n" % number)
    kept = heads.remembered.cache_info()
    for name in (b"Authorization", b"authorization", b"AUTHORIZATION", b"Proxy-Authorization", b"Cookie"):
        read(heads, b"GET / HTTP/1.1\r\nHost: a\r\n%b: Basic YTpi\r\n\r\n" % name)
    read(heads, b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"x" * 1024))

    assert kept.currsize == 128
    assert heads.remembered.cache_info() == kept


def test_what_is_refused_is_not_remembered(heads: Heads) -> None:
    for _ in range(2):
        with pytest.raises(errors.ParseException):
            heads.read(b"GET / HTTP/1.1\r\n\r\n", CLIENT)
    assert heads.remembered.cache_info().currsize == 0
