"""Flask's way from a request to its answer, of which registry.handlers.dispatch leaves out what is not used."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import TYPE_CHECKING

import flask
import pytest
import werkzeug
from flask import current_app, g, request
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from registry.app import _BLUEPRINTS
from registry.handlers import maintenance, token
from registry.handlers.dispatch import Application
from registry.handlers.flask_internals import current_request
from registry.handlers.response import Response

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
TRIED = ("3.1.0", "3.1.3")
UNTRIED = ("3.0.3", "3.2.0", "4.0.0")


@pytest.fixture
def app() -> Application:
    return Application("tried", static_folder=None)


def test_setup_allows_the_releases_of_flask_that_were_tried_and_no_others() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    (required,) = re.findall(r"^flask([<>=].*)$", setup["options"]["install_requires"], re.MULTILINE)
    assert [each for each in TRIED + UNTRIED if Version(each) in SpecifierSet(required)] == list(TRIED)


def test_one_module_looks_inside_of_flask() -> None:
    found = [
        path.name for path in (ROOT / "registry").rglob("*.py") if re.search(r"\b_cv_|request_ctx", path.read_text())
    ]
    assert found == ["flask_internals.py"]


@pytest.mark.parametrize("module", [*_BLUEPRINTS, maintenance, token], ids=lambda each: each.__name__)
def test_no_blueprint_has_what_is_left_out(module: object) -> None:
    blueprint: flask.Blueprint = module.blueprint  # type: ignore[attr-defined]  # each of these modules has one
    for functions in (
        blueprint.before_request_funcs,
        blueprint.after_request_funcs,
        blueprint.teardown_request_funcs,
        blueprint.url_value_preprocessors,
        blueprint.error_handler_spec,
    ):
        assert not functions


def test_the_proxies_of_flask_mean_this_request_and_nothing_stays_of_it(app: Application) -> None:
    seen: list[object] = []

    def view(name: str) -> Response:
        seen.append((request.path, request.args["a"], request.view_args, current_app.name, "kept" in g))
        assert current_request() is request._get_current_object()  # type: ignore[attr-defined]
        g.kept = name
        return Response("told")

    app.add_url_rule("/of/<name>", view_func=view)
    for name in ("one", "two"):
        assert app.test_client().get(f"/of/{name}?a=b").data == b"told"

    assert seen == [(f"/of/{name}", "b", {"name": name}, "tried", False) for name in ("one", "two")]
    assert not request
    assert not current_app


def test_what_a_request_says_is_read_when_it_is_asked_for(app: Application) -> None:
    def view() -> Response:
        assert request.headers["X-Told"] == "yes"
        assert (request.scheme, request.query_string, request.mimetype) == ("http", b"q=1", "text/plain")
        assert request.host == "a.example"
        with pytest.raises(AttributeError, match="nothing"):
            _ = request.nothing  # type: ignore[attr-defined]  # there is none
        return Response()

    app.add_url_rule("/", view_func=view, methods=["PUT"])
    headers = {"X-Told": "yes", "Content-Type": "text/plain", "Host": "a.example"}
    assert app.test_client().put("/?q=1", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        *("", "&", "=", "a", "a=", "=a", "a=b=c", "a&&b=1&", "a=1&a=2", "a=%2Fb%3D&digest=sha256%3A00", "a+b=c+d%2B"),
        *(
            "a=%",
            "a=%4",
            "a=%zz",
            "a=%ff",
            "a=%C3%A4%ff",
            "%C3%A4=%E2%82%AC",
            "a=%00",
            "a;b=1;c",
            "a=?b",
            "a=\xe4",
            "a=\xc3\xa4",
        ),
    ],
)
def test_a_query_is_read_as_by_werkzeug(app: Application, query: str) -> None:
    environ = {"PATH_INFO": "/", "REQUEST_METHOD": "GET", "QUERY_STRING": query}

    def read(request: werkzeug.Request) -> object:
        try:
            return list(request.args.items(multi=True))
        except UnicodeDecodeError as error:
            return type(error)

    assert read(app.request_class(environ)) == read(werkzeug.Request({**environ, "wsgi.url_scheme": "http"}))


@pytest.mark.parametrize(
    "kind", [None, "", "a/b", " A/B ; c=d", "a/b;", ";c=d", 'a/b; c="x;y"', "a/b; c*=UTF-8''d", "a", "a/b,c/d; e=f"]
)
def test_a_media_type_is_read_as_by_werkzeug(app: Application, kind: str | None) -> None:
    environ = {"PATH_INFO": "/", "REQUEST_METHOD": "PUT", "wsgi.url_scheme": "http"}
    if kind is not None:
        environ["CONTENT_TYPE"] = kind
    assert app.request_class(environ).mimetype == werkzeug.Request({**environ}).mimetype


@pytest.mark.parametrize("where", ["before", "view", "after"])
def test_an_error_anywhere_is_answered_by_the_handler_and_the_answer_goes_through_what_comes_after(
    app: Application, where: str
) -> None:
    failing = [where]

    def fail(here: str) -> None:
        if failing == [here]:
            failing.clear()
            raise KeyError(here)

    def view() -> Response:
        fail("view")
        return Response("fine")

    def after(response: Response) -> Response:
        fail("after")
        response.headers["After"] = "yes"
        return response

    handler: Callable[[Exception], Response] = lambda error: Response(f"{error!r}", 500)  # noqa: E731
    app.register_error_handler(Exception, handler)
    app.before_request(lambda: fail("before"))
    app.after_request(after)
    app.add_url_rule("/", view_func=view)
    answer = app.test_client().get("/")

    assert answer.status_code == 500
    assert answer.headers["After"] == "yes"
    assert ("KeyError" in answer.text) or where == "after"
    assert not request


def test_options_is_answered_with_the_methods_of_the_path(app: Application) -> None:
    for method in ("GET", "DELETE"):
        app.add_url_rule("/a", endpoint=method, view_func=Response, methods=[method])
    answer = app.test_client().options("/a")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "DELETE", "OPTIONS"}
    assert app.test_client().put("/a").status_code == 405
    assert app.test_client().get("/b").status_code == 404


class TestAResponse:
    @pytest.mark.parametrize("value", ["a\r\nb", "a\nSet-Cookie: b", "\r"])
    def test_says_nothing_that_would_break_its_head(self, value: str) -> None:
        with pytest.raises(ValueError, match="newline"):
            Response(headers={"Location": value})
        with pytest.raises(ValueError, match="newline"):
            Response("{}", content_type=value)

    @pytest.mark.parametrize(("status", "length"), [(200, "0"), (201, "0"), (204, None), (304, None)])
    def test_without_content_has_the_length_that_its_status_allows(self, status: int, length: str | None) -> None:
        sent: list[tuple[str, list[tuple[str, str]]]] = []
        environ = {"REQUEST_METHOD": "GET"}
        body = Response(status=status, headers={"Etag": '"a"'})(environ, lambda *args: sent.append(args))  # type: ignore[arg-type]  # all that is asked of it

        assert list(body) == []
        assert sent[0][0].startswith(f"{status} ")
        assert dict(sent[0][1]) == {"Etag": '"a"'} | ({"Content-Length": length} if length else {})

    def test_to_head_has_the_length_of_the_content_and_not_the_content(self) -> None:
        sent: list[tuple[str, list[tuple[str, str]]]] = []
        response = Response("ä", content_type="text/plain")
        body = response({"REQUEST_METHOD": "HEAD"}, lambda *args: sent.append(args))  # type: ignore[arg-type]  # as above

        assert list(body) == []
        assert sent == [("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])]
