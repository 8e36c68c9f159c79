"""Configurations that ``registry serve`` refuses, each with what is said of it behind ``configuration error: ``.

In a configuration, and in what is said, ``{there}`` is a directory with these files: a key and a certificate (tls.key,
tls.crt), a key of another certificate (other.key), one with a password (locked.key),
garbage, an htpasswd file (htpasswd), a rules file that is not one (rules.yml), a directory
(directory), a named pipe (pipe), a link to itself (loop).
"""

# ruff: noqa: E501  a table: a case is read best on few lines

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD: Final = "version: 0.1\n"
_STORAGE: Final = "storage: {filesystem: {rootdirectory: '{there}/root'}}\n"
_ADDR: Final = "http: {addr: 127.0.0.1:0}\n"


@dataclass(frozen=True, slots=True)
class Refused:
    """`line` is the number of the line that is named, 0 for none; `said` begins what follows it."""

    text: str
    line: int
    said: str
    environ: Mapping[str, str] = field(default_factory=dict)


def _with(section: str, line: int, said: str, **environ: str) -> Refused:
    """Return what is refused because of `section`, whose lines begin at 4."""
    return Refused(_HEAD + _STORAGE + "# what is wrong:\n" + section, line, said, environ)


def _storage(section: str, line: int, said: str, **environ: str) -> Refused:
    """Return what is refused because of the `section` of the storage, whose lines begin at 3."""
    return Refused(_HEAD + _ADDR + section, line, said, environ)


_TLS: Final = "http:\n  addr: 127.0.0.1:0\n  tls:\n    certificate: '{there}/"
_TOKEN: Final = "auth:\n  token:\n    realm: https://a.example/\n    issuer: i\n"
_LOCAL: Final = "auth:\n  local:\n    htpasswd: '{there}/htpasswd'\n"
_NO_METADATA: Final = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nowhere"}

FOURTEEN: Final = {
    "a port that there is not": _with(
        "http:\n  addr: 127.0.0.1:99999\n", 5, "http.addr: '127.0.0.1:99999' is not a HOST:PORT to listen on: a port is at"
    ),
    "an unknown driver": _storage("storage:\n  filesytem: {}\n", 4, "storage.filesytem: unknown, must be one of azure, "),
    "auth.ldap": _with("auth:\n  ldap: {}\n", 5, "auth.ldap: unknown, must be one of htpasswd, local, none, silly, token"),
    "htpasswd without a path": _with("auth:\n  htpasswd:\n    realm: r\n", 5, "auth.htpasswd: path: is missing"),
    "a token service that is not complete": _with(_TOKEN, 5, "auth.token: service: is missing"),
    "a typo in a rule": _with(
        f"{_LOCAL}    rules:\n      - repositories: a\n        user:bob: [pul]\n",
        9, "auth.local: rules: cannot be used: rule 1: user:bob: 'pul' is not an action",
    ),
    "a certificate that is not there": _with(
        f"{_TLS}none.crt'\n    key: '{{there}}/tls.key'\n", 7, "http.tls.certificate: {there}/none.crt: No such file"
    ),
    "a key of another certificate": _with(
        f"{_TLS}tls.crt'\n    key: '{{there}}/other.key'\n",
        7, "http.tls.certificate: {there}/tls.crt with key {there}/other.key: KEY_VALUES_MISMATCH",
    ),
    "a certificate of garbage": _with(
        f"{_TLS}garbage'\n    key: '{{there}}/tls.key'\n", 7, "http.tls.certificate: {there}/garbage is not PEM: "
    ),
    "a key with a password": _with(
        f"{_TLS}tls.crt'\n    key: '{{there}}/locked.key'\n", 8, "http.tls.key: is encrypted: a key without a password"
    ),
    "a certificate without a key": _with(f"{_TLS}tls.crt'\n", 6, "http.tls.key: missing: No such file or directory"),
    "an extra that is not installed": _storage(
        "storage:\n  s3: {bucket: b, region: r}\n", 4, "storage.s3: no botocore here; try: ",
        PYTHONPATH="{there}/without",
    ),
    "a bucket without credentials": _storage(
        "storage:\n  s3:\n    bucket: b\n    regionendpoint: http://127.0.0.1:1\n",
        4, "storage.s3: s3: ListObjectsV2 of bucket b: Unable to locate credentials", **_NO_METADATA,
    ),
    "a storage that is none": _storage(
        "storage: none\n", 3, "storage.none: unknown, must be one of azure, filesystem, gcs, inmemory, s3, s3aws; write, "
        "for example, storage: {{filesystem: {{rootdirectory: /var/lib/registry}}}}",
    ),
}  # fmt: skip

MORE: Final = {
    "an index in what is not a directory": _with(
        "ui:\n  enabled: true\n  index: {directory: '{there}/garbage'}\n", 6,
        "ui.index.directory: {there}/garbage is not a directory",
    ),
    "an index where no directory can be made": _with(
        "ui:\n  enabled: true\n  index: {directory: '{there}/garbage/index'}\n", 6,
        "ui.index.directory: the index cannot be kept in {there}/garbage/index: Not a directory",
    ),
    "a root below a file": _storage(
        "storage: {filesystem: {rootdirectory: '{there}/garbage/root'}}\n",
        3, "storage.filesystem: filesystem: cannot create rootdirectory {there}/garbage/root: Not a directory",
    ),
    "a root in /proc": _storage(
        "storage: {filesystem: {rootdirectory: /proc/nowhere/root}}\n",
        3, "storage.filesystem: filesystem: cannot create rootdirectory /proc/nowhere/root: No such file or directory",
    ),
    "a root that is a file": _storage(
        "storage: {filesystem: {rootdirectory: '{there}/garbage'}}\n", 3, "storage.filesystem: filesystem: cannot "
    ),
    "a root with a name that is too long": _storage(
        f"storage: {{filesystem: {{rootdirectory: '{{there}}/{'r' * 300}'}}}}\n",
        3, "storage.filesystem: filesystem: cannot create rootdirectory {there}/rrr",
    ),
    "a root that is a number": _storage(
        "storage:\n  filesystem:\n    rootdirectory: 5\n",
        5, "storage.filesystem: rootdirectory: must name a directory, not 5",
    ),
    "a root with a NUL": _storage(
        'storage:\n  filesystem:\n    rootdirectory: "a\\0b"\n', 5, "storage.filesystem.rootdirectory: holds a NUL"
    ),
    "threads that are many": _storage(
        "storage:\n  filesystem:\n    maxthreads: many\n", 5, "storage.filesystem: maxthreads: must be a whole number"
    ),
    "two drivers": _storage(
        "storage: {filesystem: {}, inmemory: {}}\n", 3, "storage: must name exactly one type, given: filesystem, inmemory"
    ),
    "no storage": Refused(_HEAD + _ADDR, -1, "storage: must name exactly one type, given: none; write, for example, "),
    "a driver that is gone": _storage("storage:\n  swift: {}\n", 4, "storage.swift: this driver is gone since registry:3"),
    "a path in place of a section": _storage("storage:\n  filesystem: /data\n", 4, "storage.filesystem: must be a mapping"),
    "an address without a port": _with(
        "http:\n  addr: localhost\n", 5, "http.addr: 'localhost' is not a HOST:PORT to listen on: it has no port"
    ),
    "a host that is not known": _with(
        "http: {addr: 'no-such-host.invalid:5000'}\n", 4, "http.addr: 'no-such-host.invalid:5000' is not a HOST:PORT to"
    ),
    "a debug server without a port": _with(
        "http: {addr: 127.0.0.1:0,\n  debug: {addr: localhost}}\n", 5, "http.debug.addr: 'localhost' is not a HOST:PORT"
    ),
    "one address for two servers": _with(
        "http:\n  addr: :5907\n  debug:\n    addr: 127.0.0.1:5907\n",
        7, "http.debug.addr: 127.0.0.1:5907 is what http.addr has already",
    ),
    "a file in place of a socket": _with(
        "http:\n  net: unix\n  addr: '{there}/garbage'\n", 6, "http.addr: {there}/garbage exists and is not a socket"
    ),
    "a socket without a path": _with("http:\n  net: unix\n", 4, "http.addr: missing: the path of the socket"),
    "a socket with a path that is too long": _with(
        f"http: {{net: unix, addr: /{'s' * 200}}}\n", 4, f"http.addr: cannot listen on /{'s' * 200}: AF_UNIX path too long"
    ),
    "a socket where there is no directory": _with(
        "http: {net: unix, addr: /nowhere/socket}\n",
        4, "http.addr: cannot listen on /nowhere/socket: No such file or directory; user ",
    ),
    "an address of another machine": _with(
        "http:\n  addr: 192.0.2.1:5000\n", 5, "http.addr: cannot listen on 192.0.2.1:5000: this machine has no such"
    ),
    "a debug server on another machine": _with(
        "http:\n  addr: 127.0.0.1:0\n  debug:\n    addr: 192.0.2.1:0\n",
        7, "http.debug.addr: cannot listen on 192.0.2.1:0: this machine has no such address",
    ),
    "a header with a control character": _with(
        'http:\n  headers:\n    X-A:\n    - "a\\eb"\n', 6, "http.headers.X-A: must not hold control characters"
    ),
    "a host that is not a URL": _with("http:\n  host: 'http://['\n", 5, "http.host: must be a URL such as https://"),
    "a prefix without a slash": _with("http:\n  prefix: a\n", 5, 'http.prefix: must begin with a slash, not "a"'),
    "a proxy that is a name": _with("http:\n  trustedproxies: [nginx]\n", 5, "http.trustedproxies[0]: must be an address"),
    "a level that is misspelt": _with(
        "log:\n  level: inof\n",
        5, 'log.level: must be one of error, warn, info, debug, not "inof" (is info meant?)',
    ),
    "a mail hook without a server": _with(
        "log:\n  hooks:\n  - type: mail\n    options: {smtp: {addr: mail}}\n",
        7, "log.hooks[0].options.smtp.addr: must be host:port, not 'mail'",
    ),
    "a boolean in quotes": _with("http: {relativeurls: 'yes'}\n", 4, "http.relativeurls: must be true or false"),
    "a duration without sense": _with("http:\n  draintimeout: soon\n", 5, "http.draintimeout: must be a duration such"),
    "a section that is a number": _with("http: 5000\n", 4, "http: must be a mapping, not a number; write, for example, "),
    "a cache of what is not a registry": _with("proxy:\n  remoteurl: ftp://a.example\n", 5, "proxy.remoteurl: must begin"),
    "a cache at a port that none has": _with(
        "proxy:\n  remoteurl: https://a.example:99999\n", 5, "proxy.remoteurl: is not the URL of a registry: a port is"
    ),
    "a cache whose password is not there": _with(
        "proxies:\n- name: a\n  remoteurl: https://a.example\n  auth: {username: u, passwordfile: '{there}/none'}\n",
        7, "proxies[0].auth.passwordfile: ",
    ),
    "an endpoint without a URL": _with(
        "notifications:\n  endpoints:\n  - name: ci\n", 6, "notifications.endpoints[0].url: missing: write the URL that"
    ),
    "an endpoint that is not a URL": _with(
        "notifications:\n  endpoints:\n  - name: ci\n    url: ci.example\n",
        7, "notifications.endpoints[0].url: must begin with http:// or https://",
    ),
    "an endpoint whose host no name can be": _with(
        "notifications:\n  endpoints:\n  - name: ci\n    url: http://ex!mple/\n",
        7, "notifications.endpoints[0].url: nothing can be sent there: the host is not a name",
    ),
    "an endpoint whose host is longer than a name": _with(
        f"notifications:\n  endpoints:\n  - name: ci\n    url: http://{'a' * 300}/\n",
        7, "notifications.endpoints[0].url: nothing can be sent there: the host is too long for a name",
    ),
    "two endpoints of one name": _with(
        "notifications:\n  endpoints:\n  - name: ci\n    url: http://a\n  - name: ci\n    url: http://b\n",
        8, "notifications.endpoints[1].name: ci is what endpoints[0] is called as well; give each a name of its own",
    ),
    "an endpoint with a pattern that is none": _with(
        "notifications:\n  endpoints:\n  - url: http://a\n    repositories:\n    - team/**\n    - team**\n",
        9, "notifications.endpoints[0].repositories[1]: 'team**': ** must stand alone between slashes; write, for",
    ),
    "an endpoint with a secret that is none": _with(
        "notifications:\n  endpoints:\n  - url: http://a\n    secret: hunter2\n",
        7, "notifications.endpoints[0].secret: must be whsec_ and the base64 of 24 to 64 bytes; make one: echo",
    ),
    "an endpoint whose authorities are not there": _with(
        "notifications:\n  endpoints:\n  - name: ci\n    url: https://a\n    cafile: /nowhere\n",
        8, "notifications.endpoints[0].cafile: /nowhere: No such file or directory",
    ),
    "an endpoint whose authorities are garbage": _with(
        "notifications:\n  endpoints:\n  - name: ci\n    url: https://a\n    cafile: '{there}/garbage'\n",
        8, "notifications.endpoints[0].cafile: {there}/garbage: it holds no certificate in PEM",
    ),
    "an endpoint whose authorities are a key": _with(
        "notifications:\n  endpoints:\n  - name: ci\n    url: https://a\n    cafile: '{there}/tls.key'\n",
        8, "notifications.endpoints[0].cafile: {there}/tls.key: it holds no certificate in PEM",
    ),
    "an endpoint whose authorities are a pipe": _with(
        "notifications:\n  endpoints:\n  - name: ci\n    url: https://a\n    cafile: '{there}/pipe'\n",
        8, "notifications.endpoints[0].cafile: {there}/pipe: is not a regular file",
    ),
    "an endpoint with a format that there is not": _with(
        "notifications:\n  endpoints:\n  - url: http://a\n    format: cloudevent\n",
        7, 'notifications.endpoints[0].format: must be one of docker, cloudevents, not "cloudevent" (is cloudevents meant?)',
    ),
    "middleware that is not there": _with(
        "middleware:\n  storage:\n  - name: cloudfrnt\n",
        6, "middleware.storage[0].name: unknown, must be one of cloudfront, redirect, rewrite (is cloudfront meant?)",
    ),
    "middleware without an option": _with(
        "middleware:\n  storage:\n  - name: redirect\n", 6, "middleware.storage[0].options: baseurl: is missing"
    ),
    "a cache without redis": _storage(
        "storage:\n  inmemory:\n  cache:\n    blobdescriptor: redis\n",
        6, "storage.cache.blobdescriptor: redis needs redis.addrs",
    ),
    "a redis that is a URL": _storage(
        "storage: {inmemory: , cache: {blobdescriptor: redis}}\nredis:\n  addrs:\n  - redis://a:1\n",
        6, "redis.addrs[0]: must be HOST:PORT or the path of a socket",
    ),
    "a certificate beside Let's Encrypt": _with(
        f"{_TLS}tls.crt'\n    letsencrypt: {{cachefile: '{{there}}/acme', hosts: [a.example]}}\n",
        8, "http.tls.letsencrypt.cachefile: http.tls.certificate is given as well",
    ),
    "Let's Encrypt without a directory": _with(
        "http: {tls: {letsencrypt: {cachefile: '{there}/garbage/acme', hosts: [a.example], httpaddr: '127.0.0.1:5908'}}}\n",
        4, "http.tls.letsencrypt.cachefile: {there}/garbage/acme: Not a directory",
    ),
    "an authority that is not there": _with(
        f"{_TLS}tls.crt'\n    key: '{{there}}/tls.key'\n    clientcas:\n    - /nowhere\n",
        10, "http.tls.clientcas[0]: /nowhere: No such file or directory",
    ),
    "a cipher suite that there is not": _with(
        f"{_TLS}tls.crt'\n    key: '{{there}}/tls.key'\n    ciphersuites: [X]\n",
        9, 'http.tls.ciphersuites: unknown cipher suite "X"',
    ),
    "a key without a certificate": _with(
        "http:\n  tls:\n    key: '{there}/tls.key'\n", 5, "http.tls.certificate: missing, though http.tls has a key"
    ),
    "a directory in place of an htpasswd file": _with(
        "auth: {htpasswd: {realm: r,\n  path: '{there}/directory'}}\n",
        5, "auth.htpasswd: path: {there}/directory is a directory: Docker makes one where a file to mount does not exist",
    ),
    "an htpasswd file that cannot be created": _with(
        "auth: {htpasswd: {realm: r,\n  path: '{there}/garbage/htpasswd'}}\n", 5, "auth.htpasswd: path: {there}/garbage/"
    ),
    "an htpasswd file in a directory that is not there": _with(
        "auth: {htpasswd: {realm: r,\n  path: /nowhere/htpasswd}}\n", 5, "auth.htpasswd: path: /nowhere/htpasswd is missing and"
    ),
    "an htpasswd file that is not there": _with(
        "auth:\n  local:\n    htpasswd: /nowhere/htpasswd\n    rules: []\n",
        6, "auth.local: htpasswd: /nowhere/htpasswd does not exist",
    ),
    "a directory without a base": _with(
        f"{_LOCAL}    rules: []\n    ldap:\n      - name: corp\n        servers: [ldaps://a.example]\n",
        9, "auth.local: ldap[0].users.base: is missing",
    ),
    "an identity provider without TLS": _with(
        f"{_LOCAL}    rules: []\n    login:\n      oidc:\n        - {{name: corp, issuer: 'http://a.example'}}\n",
        10, "auth.local: login.oidc[0].issuer: must be https://HOST",
    ),
    "rules that are missing": _with(_LOCAL, 5, "auth.local: rules: cannot be used: rules must be a list"),
    "a group that there is not": _with(
        f"{_LOCAL}    rules:\n      - repositories: a\n        group:a: [pull]\n",
        9, "auth.local: rules: cannot be used: rule 1: group:a: there is no such group",
    ),
    "a rules file that is not one": _with(
        f"{_LOCAL}    rules: '{{there}}/rules.yml'\n", 7, "auth.local: rules: cannot be used: {there}/rules.yml: "
    ),
    "a token service at a path that is none": _with(
        f"{_LOCAL}    rules: []\n    tokenpath: /a/<b>\n", 8, "auth.local: tokenpath: must be the path of a URL"
    ),
    "a token service without keys": _with(
        f"{_TOKEN}    service: s\n    rootcertbundle: '{{there}}/none'\n", 9, "auth.token: rootcertbundle: cannot be used: "
    ),
    "a token service with keys of garbage": _with(
        f"{_TOKEN}    service: s\n    rootcertbundle: '{{there}}/garbage'\n", 9, "auth.token: rootcertbundle: cannot be used: "
    ),
    "a token service with keys that are a pipe": _with(
        f"{_TOKEN}    service: s\n    jwks: '{{there}}/pipe'\n", 9,
        "auth.token: jwks: cannot be used: {there}/pipe: is not a regular file",
    ),
    "rules that are a pipe": _with(
        f"{_LOCAL}    rules: '{{there}}/pipe'\n", 7,
        "auth.local: rules: cannot be used: {there}/pipe: is not a regular file",
    ),
    "API keys that are a pipe": _with(
        f"{_LOCAL}    rules: []\n    apikeys: '{{there}}/pipe'\n", 8,
        "auth.local: apikeys: {there}/pipe is not a regular file",
    ),
    "a certificate that is a pipe": _with(
        f"{_TLS}pipe'\n    key: '{{there}}/tls.key'\n", 7, "http.tls.certificate: {there}/pipe: is not a regular file"
    ),
    "authorities that are a pipe": _with(
        f"{_TLS}tls.crt'\n    key: '{{there}}/tls.key'\n    clientcas: ['{{there}}/pipe']\n", 9,
        "http.tls.clientcas[0]: {there}/pipe: is not a regular file",
    ),
    "an htpasswd file that is a pipe": _with(
        "auth: {htpasswd: {realm: r,\n  path: '{there}/pipe'}}\n", 5,
        "auth.htpasswd: path: {there}/pipe is not a regular file",
    ),
    "an htpasswd file that is a link to itself": _with(
        "auth: {htpasswd: {realm: r,\n  path: '{there}/loop'}}\n", 5,
        "auth.htpasswd: path: {there}/loop is missing and cannot be created: Too many levels of symbolic links",
    ),
    "keys that last for a word": _with(
        f"{_LOCAL}    rules: []\n    apikeys: storage\n    apikeylifetime: soon\n", 9,
        "auth.local: apikeylifetime: must be a duration like",
    ),
    "pages whose visitors could not log in": _with(
        f"{_TOKEN}    service: s\n    jwks: https://a.example/k\nui:\n  enabled: true\n",
        11, "ui.enabled: with auth: token only the token service knows who may do what, and browsers bring no tokens; ",
    ),
    "pages in the way of the API": _with("ui: {enabled: true, path: /v2/ui}\n", 4, "ui.path: /v2/ui is in the way of /v2"),
    "pages in the way of tokens": _with("ui:\n  enabled: true\n  path: /auth\n", 6, "ui.path: /auth is in the way of /auth/token"),
    "pages at the root": _with("ui:\n  enabled: true\n  path: /\n", 6, "ui.path: must be a path such as /ui, without a slash"),
    "pages at a path that goes up": _with("ui:\n  enabled: true\n  path: /a/../b\n", 6, "ui.path: must be a path such as /ui"),
    "pages that say a URL for a host": _with(
        "ui:\n  enabled: true\n  host: https://registry.example\n", 6, "ui.host: must be what names of images begin with",
    ),
    "pages that say two words for a host": _with(
        "ui:\n  enabled: true\n  host: a b\n", 6, "ui.host: must be what names of images begin with, HOST[:PORT], not 'a b'",
    ),
    "pages where nobody stays logged in": _with(
        "ui:\n  enabled: true\n  session:\n    idle: 0s\n", 7, "ui.session.idle: must be longer than 0s, not 0s",
    ),
    "pages where nobody logs in": _with(
        "ui:\n  enabled: true\n  session:\n    lifetime: 0\n", 7, "ui.session.lifetime: must be longer than 0s, not 0s",
    ),
    "an index that is read over and over": _with(
        "ui:\n  enabled: true\n  index:\n    reconcile: 0s\n", 7, "ui.index.reconcile: must be longer than 0s, not 0s",
    ),
    "pages with nobody to log in": _with(
        "auth: {silly: {realm: r, service: s}}\nui:\n  enabled: true\n", 6, "ui.enabled: auth: silly knows no users who",
    ),
    "an algorithm that there is not": _with(
        f"{_TOKEN}    service: s\n    jwks: https://a.example/k\n    signingalgorithms: [none]\n",
        10, "auth.token: signingalgorithms: has 'none'; known are ",
    ),
    "a check of a host without a port": _with(
        "health:\n  tcp:\n  - interval: 1s\n    addr: a\n", 7, "health.tcp[0].addr: it has no port"
    ),
    "a check of what is not a URL": _with("health:\n  http:\n  - uri: a\n", 6, "health.http[0].uri: must be a URL with"),
    "a check of a host that no name can be": _with(
        "health:\n  http:\n  - uri: http://ex!mple/\n", 6, "health.http[0].uri: nothing can be asked there: the host is not",
    ),
    "a variable with a wrong value": _with(
        "http: {net: tcp}\n", 0, 'http.net: must be one of tcp, unix, not "udp" (set by REGISTRY_HTTP_NET)',
        REGISTRY_HTTP_NET="udp",
    ),
    "a variable that is not YAML": _with("", 0, "REGISTRY_HTTP: not YAML: line ", REGISTRY_HTTP="["),
    "traces that go nowhere": _with(
        "", 0, "OTEL_TRACES_EXPORTER: must be one of otlp, console, none, not 'jaeger'", OTEL_TRACES_EXPORTER="jaeger"
    ),
    "traces with a wrong variable": _with(
        "", 0, "OTEL_TRACES_EXPORTER: traces cannot be sent as the variables OTEL_... say: ValueError: ",
        OTEL_TRACES_EXPORTER="console", OTEL_PROPAGATORS="none-such",
    ),
    "a file that is not YAML": Refused(f"{_HEAD}http:\n  addr: a: b\n", 3, "not YAML: line 3, column 10: mapping values"),
    "a file without a mapping": Refused("- a\n", -1, "must hold a mapping of keys"),
    "a version that there is not": Refused("version: 0.2\n" + _STORAGE, 1, "version: unsupported (0.2)"),
}  # fmt: skip
