"""A small third-party token service, as the specification describes it; it does not share code with the registry."""

from __future__ import annotations

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from tests.auth.issuing import Issuer, certificate, pem_bundle, thumbprint
from tests.integration.secrecy import SUITE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ISSUER, SERVICE = "tokens.example", "registry.example"


class TokenServer:
    """Grants each user of `users` the actions listed for it on every repository; anonymous callers may pull public/."""

    def __init__(self, users: Mapping[str, tuple[str, set[str]]], directory: Path) -> None:
        self._users = users
        key = ec.generate_private_key(ec.SECP256R1())
        self._issuer = Issuer(key, "ES256", {"kid": thumbprint(key)})
        bundle = pem_bundle(directory / "tokens.pem", [certificate(key)])
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = owner.answer(self.headers.get("Authorization"), parse_qs(urlsplit(self.path).query))
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self) -> None:
                self.send_error(405)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        realm = f"http://127.0.0.1:{self._server.server_port}/token"
        self.section = {"realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": bundle}

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, authorization: str | None, query: Mapping[str, list[str]]) -> tuple[int, dict[str, Any]]:
        """Give status and body for a request."""
        user = ""
        if authorization:
            user, _, password = base64.b64decode(authorization.partition(" ")[2]).decode().partition(":")
            if self._users.get(user, ("",))[0] != password:
                return 401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong user or password"}]}
        access = []
        for scope in " ".join(query.get("scope", [])).split():
            kind, name, actions = scope.split(":", 2)
            allowed = self._users[user][1] if user else {"pull"} if name.startswith("public/") else set()
            granted = [action for action in actions.split(",") if action in allowed or kind == "registry"]
            access.append({"type": kind, "name": name, "actions": granted})
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": SERVICE, "sub": user, "exp": now + 60, "nbf": now, "iat": now, "access": access}
        token = self._issuer.token(claims)
        SUITE.add(token)
        return 200, {"token": token, "expires_in": 60}
