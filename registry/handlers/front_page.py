"""The page that a browser gets at ``/``: what this is, and how to push to it. It says nothing of what is stored."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from string import Template
from typing import Final
from urllib.parse import urlsplit

from flask import request

from registry import __version__
from registry.handlers.current import services
from registry.handlers.image_hosts import host_of_images, is_this_machine
from registry.handlers.response import Response
from registry.handlers.urls import api_url

_STYLE: Final = """
:root { color-scheme: light dark; --text: #1f2328; --dim: #59636e; --line: #d1d9e0; --code: #f6f8fa; --page: #fff }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --dim: #9198a1; --line: #3d444d; --code: #161b22; --page: #0d1117 }
}
body { margin: 0 auto; max-width: 42rem; padding: 3rem 1.25rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif }
header { border-bottom: 1px solid var(--line); margin-bottom: 2rem }
h1 { font-size: 1.75rem; margin: 0 }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
header p, footer { color: var(--dim) }
header p { margin: .25rem 0 1rem }
code { font: .9em ui-monospace, monospace }
pre { background: var(--code); border: 1px solid var(--line); border-radius: 6px; margin: 0; overflow-x: auto;
  padding: .9rem 1rem }
footer { border-top: 1px solid var(--line); font-size: .9rem; margin-top: 2.5rem }
"""
_PAGE: Final = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>registry on $host</title>
<style>$style</style>
</head>
<body>
<header>
<h1>registry</h1>
<p>Container image registry, version $version</p>
</header>
<main>
$sections
</main>
<footer>
<p>The API is at <code>$api</code>. It is that of the OCI distribution specification: podman, skopeo, crane, oras and
other clients work as well as docker.</p>
</footer>
</body>
</html>
"""
)
_SECTION: Final = Template("<h2>$title</h2>\n$content\n")
_STYLE_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Vary": "Accept",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


def is_wanted() -> bool:
    """Tell whether the client wants HTML more than anything else, as browsers do and probes do not."""
    accepted = [(name.partition(";")[0].lower(), quality) for name, quality in request.accept_mimetypes]
    best = max((quality for _, quality in accepted), default=0)
    return bool(best) and next(name for name, quality in accepted if quality == best) == "text/html"


def front_page() -> Response:
    """Return the page for the host that the client has asked."""
    configuration = services().configuration
    api = urlsplit(api_url())
    # http.host may have been given a password.
    api = api._replace(netloc=api.netloc.rpartition("@")[2])
    host = host_of_images(api.scheme, api.netloc) or "HOST"
    image = f"{host}/NAME:TAG"
    sections = []
    if configuration.auth and configuration.auth.name != "none":
        sections.append(("Log in", _commands(f"docker login {host}")))
    if configuration.storage.maintenance.readonly.enabled:
        sections.append(("Push an image", "<p>This registry is read-only at present.</p>"))
    else:
        sections.append(("Push an image", _commands(f"docker tag IMAGE {image}\ndocker push {image}")))
    sections.append(("Pull an image", _commands(f"docker pull {image}")))
    if api.scheme == "http":
        sections.append(("Without TLS", _how_without_tls(host)))
    page = _PAGE.substitute(
        host=escape(host),
        style=_STYLE,
        version=escape(__version__),
        sections="".join(_SECTION.substitute(title=title, content=content) for title, content in sections),
        api=escape(api.geturl()),
    )
    return Response(page, headers=_HEADERS, content_type="text/html; charset=utf-8")


def _commands(lines: str) -> str:
    return f"<pre><code>{escape(lines)}</code></pre>"


def _how_without_tls(host: str) -> str:
    if is_this_machine(host):
        return (
            "<p>You have reached this registry without TLS, which docker accepts on its own machine. Podman and skopeo "
            "take <code>--tls-verify=false</code>.</p>"
        )
    return (
        "<p>You have reached this registry without TLS. Docker accepts that on the machine of the registry itself, "
        f"and elsewhere if <code>insecure-registries</code> in its <code>daemon.json</code> names "
        f"<code>{escape(host)}</code>. Podman and skopeo take <code>--tls-verify=false</code>.</p>"
    )
