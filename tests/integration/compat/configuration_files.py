"""Random configurations: sections and keys of the Go registry's, in spellings that YAML allows or nearly allows."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.integration.compat.configurations import SMALLEST
from tests.integration.compat.spellings import COLLECTIONS, SCALARS

# Two are read in another way within brackets: a comma right after a tag, and a question mark alone.
PLAIN = st.sampled_from(
    [f"{value} " if value[:1] == "!" else value for value in (*SCALARS, *COLLECTIONS) if value != "?"]
)
SPACE = st.sampled_from(["", "", " ", "\t", "\n     ", " # c\n     "])


def flow(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return lists and mappings within brackets."""
    items = st.lists(st.tuples(SPACE, values, SPACE).map("".join), max_size=3).map(",".join)
    keys = st.sampled_from(["a: ", "b:\t", "'a': ", '"c":', "? d : ", "a : ", ": ", "&k e: "])
    pairs = st.lists(st.tuples(SPACE, keys, values, SPACE).map("".join), max_size=3).map(",".join)
    return items.map("[{}]".format) | pairs.map("{{{}}}".format)


ANY_VALUE = st.recursive(PLAIN, flow, max_leaves=5)
STRING = st.sampled_from(["x", ":5000", "http://a:1/b", "a b", "'it''s'", '"\\u00e9"', "0123", "yes", "|-\n     a"])
TRUTH = st.sampled_from(["true", "no", "On", "y", "!!bool 'yes'"])
DURATION = st.sampled_from(["10s", "1h30m", "'5m'", "60", "0", "1_000", "1e3"])
LEVEL = st.sampled_from(["warn", "DEBUG", "'info'"])
COUNT = st.sampled_from(["5", "0x1F", "0123", "1_000", "1e2", "!!int '5'"])
STRINGS = st.sampled_from(
    ["[a, b]", "[]", "[0x1,\tyes]", "\n    - a\n    -\n    - 'b'", "\n  - x # c\n  -  y\n  -\n    z"]
)
HEADERS = st.sampled_from(["{A: [x], B: [y]}", "{A: [z]}", "\n    C: [x]\n    A:\n    - y", "{<<: {A: [m]}}"])
TLS = st.sampled_from(["{key: k}", "{certificate: c}", "{clientcas: [a]}", "\n    key: l", "", "*tls", "{<<: *tls}"])
FILES = st.sampled_from(["[{file: a, interval: 3s}]", "[{file: a, file: b}]", "[]", "\n  - file: c\n    threshold: 2"])
CHECK = st.sampled_from(["{enabled: true}", "{threshold: 2}", "{interval: 5}", "\n    enabled: yes"])
FIELDS = st.lists(st.tuples(SPACE, ANY_VALUE), max_size=3).map(
    lambda found: "{" + ",".join(f"{space}f{index}: {value}" for index, (space, value) in enumerate(found)) + "}"
)
MANIFESTS = st.sampled_from(["{urls: {allow: [a]}}", "{urls: {deny: [b]}}", "{indexes: {}}", ""])
KEYS = {
    "http": {"addr": STRING, "secret": STRING, "relativeurls": TRUTH, "draintimeout": DURATION, "headers": HEADERS,
             "tls": TLS, "<<": st.sampled_from(["*http", "[*http, {addr: n}]", "{secret: s}"])},
    "log": {"level": LEVEL, "fields": FIELDS, "reportcaller": TRUTH},
    "redis": {"addrs": STRINGS, "password": STRING, "db": COUNT, "dialtimeout": DURATION},
    "catalog": {"maxentries": COUNT},
    "health": {"file": FILES, "storagedriver": CHECK},
    "auth": {"htpasswd": st.sampled_from(["{realm: r}", "{path: /p}", "{<<: *http, a: [b]}", ""])},
    "validation": {"manifests": MANIFESTS, "disabled": TRUTH},
    "unknown": {"a": STRINGS},
}  # fmt: skip
BASE = "base:\n  tls: &tls {key: t, certificate: u}\n  http: &http {addr: m, tls: {key: v}, headers: {A: [w]}}\n"
COLON = st.sampled_from([": ", ": ", ":\t", ":  ", " : ", ": &a "])
ANY_COLON = COLON | st.sampled_from([": !!str ", ": !x ", ":"])
END = st.sampled_from(["", "", "", " ", "\t", " # c", "\t# c"])
HEAD = st.sampled_from(
    ["", "", "\ufeff", "---\n", "--- # c\n", "%YAML 1.1\n---\n", "# c\n", "\n \n", "&a\n", "!!map\n", "..."]
)
TAIL = st.sampled_from(
    ["", "", "...\n", "---\n", "--- x\n", "...\n[\n", "---\n@\n", "# c", "\t\n", "\n\n", "x", "...x\n"]
)
BREAK = st.sampled_from(["\n", "\n", "\r\n", "\r", "\u2028"])
ENCODING = st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"])


READ_DIFFERENTLY = (DURATION, COUNT, LEVEL)
"""Of other values than these, some are read in another way here: test_configuration.py says which."""


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Return files of the smallest configuration and some sections.

    Either sections and keys may be there twice, or have any value: of a value that a later one replaces, the Go
    registry looks at the type.
    """
    twice = draw(st.booleans())
    lines = []
    for section in draw(st.lists(st.sampled_from(sorted(KEYS)), max_size=4, unique=not twice)):
        lines.append(f"{section}:{draw(END)}")
        keys = sorted(KEYS[section].keys() - ({"<<"} if not twice else ()))
        for key in draw(st.lists(st.sampled_from(keys), min_size=1, max_size=4, unique=not twice)):
            kind = KEYS[section][key]
            value = draw(kind if twice or kind in READ_DIFFERENTLY or draw(st.integers(0, 5)) else ANY_VALUE)
            lines.append(f"  {key}{draw(COLON if twice else ANY_COLON)}{value}{draw(END)}")
    text = draw(HEAD) + SMALLEST + BASE + "".join(f"{line}\n" for line in lines) + draw(TAIL)
    return text.replace("\n", draw(BREAK)).encode(draw(ENCODING), "replace")


BASES = [
    SMALLEST,
    """\
version: 0.1
log: {level: warn, fields: {service: x}, hooks: [{type: mail, levels: [error], options: {from: a}}]}
storage: {filesystem: {rootdirectory: /x}, delete: {enabled: false}}
auth: {htpasswd: {realm: r, path: /p}}
http: {addr: ':1', headers: {x-foo: [a, b]}, tls: {key: k, letsencrypt: {hosts: [h]}}}
middleware: {storage: [{name: redirect, options: {baseurl: u}}]}
health: {file: [{file: f}], http: [{uri: u}], storagedriver: {enabled: true}}
redis: {addrs: [a], password: p, tls: {key: k}}
validation: {manifests: {urls: {allow: [a]}}}
""",
]
STRING_NAMES = [
    *["HTTP_ADDR", "HTTP_SECRET", "HTTP_TLS_KEY", "HTTP_DEBUG_ADDR", "HTTP_DEBUG_PROMETHEUS_PATH_X", "PROXY_USERNAME"],
    *["LOG_HOOKS_0_TYPE", "LOG_HOOKS_1_TYPE", "LOG_HOOKS_0_MAILOPTIONS_FROM", "LOG_HOOKS_0_MAILOPTIONS_SMTP_ADDR"],
    *["HEALTH_FILECHECKERS_0_FILE", "HEALTH_FILECHECKERS_1_FILE", "HEALTH_HTTPCHECKERS_0_URI", "REDIS_PASSWORD"],
    *["REDIS_TLS_KEY", "REDIS_OPTIONS_PASSWORD", "PROXY_EXEC_COMMAND", "MIDDLEWARE_STORAGE_0_NAME"],
    *["VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_OS"],
]
NAMES = {
    STRING: STRING_NAMES,
    TRUTH: ["HTTP_RELATIVEURLS", "HTTP_DEBUG_PROMETHEUS_ENABLED", "LOG_ACCESSLOG_DISABLED", "VALIDATION_DISABLED",
            "HEALTH_STORAGEDRIVER_ENABLED", "NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES"],
    DURATION: ["HTTP_DRAINTIMEOUT", "HEALTH_FILECHECKERS_0_INTERVAL", "HEALTH_HTTPCHECKERS_0_TIMEOUT", "PROXY_TTL",
               "HEALTH_STORAGEDRIVER_INTERVAL", "REDIS_DIALTIMEOUT"],
    COUNT: ["CATALOG_MAXENTRIES", "TAGS_MAXTAGS", "REDIS_DB", "REDIS_OPTIONS_DB", "HEALTH_HTTPCHECKERS_0_STATUSCODE"],
    STRINGS: ["HTTP_TLS_CLIENTCAS", "HTTP_TLS_LETSENCRYPT_HOSTS", "LOG_HOOKS_0_LEVELS", "REDIS_ADDRS",
              "HTTP_HEADERS_X-FOO", "HTTP_HEADERS_X-NEW", "POLICY_REPOSITORY_CLASSES"],
    HEADERS: ["HTTP_HEADERS", "HEALTH_HTTPCHECKERS_0_HEADERS"],
    TLS: ["HTTP_TLS"],
    FILES: ["HEALTH_FILECHECKERS"],
    CHECK: ["HEALTH_STORAGEDRIVER"],
    FIELDS: ["LOG_FIELDS", "AUTH_HTPASSWD", "MIDDLEWARE_STORAGE_0_OPTIONS", "STORAGE_FILESYSTEM"],
    st.sampled_from(["{addr: a, tls: {key: k}}", "{tls: {key: a}, tls: {certificate: b}}", ""]): ["HTTP"],
    st.sampled_from(["{addrs: [b]}", "{db: 3, password: q}", ""]): ["REDIS", "REDIS_OPTIONS"],
    st.sampled_from(["filesystem", "inmemory", "{s3: {bucket: b}}", "{inmemory: }"]): ["STORAGE"],
    st.sampled_from(["htpasswd", "{htpasswd: {realm: s}}", "{htpasswd: }", ""]): ["AUTH"],
    LEVEL: ["LOG_LEVEL"],
    ANY_VALUE: ["LOG_FIELDS_SERVICE", "LOG_FIELDS_NEW_DEEP", "AUTH_HTPASSWD_REALM", "PASSWORD", "FOO",
                "STORAGE_FILESYSTEM_ROOTDIRECTORY", "PORT", "HTTP_FOO", "HTTP_TLS_KEY_X", "_", "HTTP_", "_HTTP",
                "MIDDLEWARE_STORAGE_0_OPTIONS_BASEURL", "HTTP__ADDR", "Http_addr", "HTTP_addr", "REDIS_FOO"],
}  # fmt: skip
"""Variables by what their value should be. Left out is what does more here than there; test_environment.py has it."""


OF_ONE_VALUE = (STRING, TRUTH, STRINGS)


@st.composite
def environments(draw: st.DrawFn) -> dict[str, str]:
    """Return variables with a value of their type, or one that may have another."""
    kinds = draw(st.lists(st.sampled_from(list(NAMES)), max_size=4))
    if len(kinds) == 1 and kinds[0] in OF_ONE_VALUE and draw(st.booleans()):
        return {f"REGISTRY_{draw(st.sampled_from(NAMES[kinds[0]]))}": draw(ANY_VALUE)}
    names = {f"REGISTRY_{draw(st.sampled_from(NAMES[kind]))}": kind for kind in kinds}
    return {name: draw(kind) + draw(END) for name, kind in names.items()}
