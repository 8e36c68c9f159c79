"""An identity provider to test with, which does as it should until it is told otherwise."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CLIENT, SECRET = "registry of tests", "a secret: with+signs%"
KEY_ID = "key-1"


@dataclass
class IdentityProvider:
    """Logs in who has `claims`, without asking.

    `metadata`, `in_token` and `answer` change what it says of itself, in its tokens, and of a code. `in_userinfo` are
    claims that are told there alone. `sent` are the requests for tokens, with their forms.
    """

    issuer: str
    claims: dict[str, object] = field(
        default_factory=lambda: {"sub": "1234", "email": "alice@corp.example", "email_verified": True}
    )
    metadata: dict[str, object] = field(default_factory=dict)
    in_token: dict[str, object] = field(default_factory=dict)
    in_userinfo: dict[str, object] = field(default_factory=dict)
    answer: tuple[int, dict[str, object]] | None = None
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    signs_with: ec.EllipticCurvePrivateKey | None = None
    sent: list[tuple[Mapping[str, str], dict[str, str]]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def parameters(self, **more: object) -> dict[str, Any]:
        """Return the section of the configuration that leads here."""
        return {"name": "corp", "label": "Corp account", "issuer": self.issuer, "clientid": CLIENT, **more}

    def visited(self, url: str) -> dict[str, str]:
        """Do as a browser that is sent to `url` and logs in: return the query that it comes back with."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        code = secrets.token_urlsafe(8)
        self.codes[code] = query
        return {"code": code, "state": query["state"], "iss": self.issuer}

    def told(self, method: str, path: str, headers: Mapping[str, str], form: dict[str, str]) -> tuple[int, object]:
        """Return status and content of an answer."""
        if path == "/.well-known/openid-configuration":
            return 200, self._metadata()
        if path == "/keys":
            return 200, {"keys": [{**json.loads(_jwk(self.key)), "kid": KEY_ID, "use": "sig"}]}
        if path == "/token" and method == "POST":
            self.sent.append((dict(headers), form))
            return self.answer or self._redeemed(form)
        if path == "/userinfo":
            known = headers.get("Authorization") == "Bearer access"
            return (200, {"sub": self.claims["sub"], **self.in_userinfo}) if known else (401, {})
        return 404, {}

    def _metadata(self) -> dict[str, object]:
        names = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "keys"}
        names |= {"userinfo_endpoint": "userinfo", "end_session_endpoint": "bye"}
        endpoints = {name: f"{self.issuer}/{path}" for name, path in names.items()}
        return {"issuer": self.issuer, **endpoints, **self.metadata}

    def _redeemed(self, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        asked = self.codes.pop(form["code"], None)
        digest = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        if asked is None or digest.decode() != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "exp": now + 60, "iat": now, "nonce": asked["nonce"]}
        token = jwt.encode(
            {**claims, **self.claims, **self.in_token}, self.signs_with or self.key, "ES256", headers={"kid": KEY_ID}
        )
        return 200, {"access_token": "access", "token_type": "Bearer", "id_token": token}


def _jwk(key: ec.EllipticCurvePrivateKey) -> str:
    text: str = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())
    return text


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    """Run one at a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer({name: values[0] for name, values in parse_qs(content).items()})

        def _answer(self, form: dict[str, str]) -> None:
            status, document = provider.told(self.command, urlsplit(self.path).path, dict(self.headers), form)
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider = IdentityProvider(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
