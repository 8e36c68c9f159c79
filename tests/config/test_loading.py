from __future__ import annotations

from pathlib import Path

import pytest

from registry.config import ConfigurationError, find_path, load
from registry.config.values import HTTP, TLS, Configuration, Indexes, Log, Platform, Plugin, Storage, Validation
from tests.config.forms import FILESYSTEM, SMALLEST, configure, refusal

EXAMPLES = Path(__file__).parents[2] / "deploy"


def test_the_smallest_file_gives_the_defaults() -> None:
    assert configure() == Configuration(version="0.1", storage=Storage("inmemory"))


def test_the_defaults_are_those_of_the_go_registry() -> None:
    configuration = configure()
    purging = configuration.storage.maintenance.uploadpurging
    assert (purging.enabled, purging.age_seconds, purging.interval_seconds) == (True, 604800.0, 86400.0)
    assert configuration.storage.cache.blobdescriptorsize == 10000
    assert (configuration.catalog.maxentries, configuration.tags.maxtags) == (1000, 1000)
    assert configuration.log == Log(level="info", formatter=None)
    assert configuration.http == HTTP(addr="", net="tcp", tls=TLS(minimumtls="tls1.2"))
    assert configuration.http.debug.prometheus.path == "/metrics"
    assert configuration.proxy.ttl_seconds == 604800.0
    assert configuration.proxy.cachewritetimeout_seconds == 300.0
    assert configuration.validation.enabled
    assert configuration.validation.manifests.indexes == Indexes("all", ())


@pytest.mark.parametrize("name", ["config-dev.yml", "config-example.yml"])
def test_the_files_in_deploy_load_without_a_warning(name: str) -> None:
    assert load(str(EXAMPLES / name), {}).warnings == ()


def test_a_file_as_the_image_of_registry_2_ships_it_loads() -> None:
    configuration = configure(
        base="""
version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
"""
    )
    assert configuration.storage.driver == "filesystem"
    assert configuration.http.headers == {"X-Content-Type-Options": ("nosniff",)}
    assert configuration.storage.cache.blobdescriptor == "inmemory"
    assert configuration.warnings == ()


@pytest.mark.parametrize(
    ("text", "driver", "parameters"),
    [
        ("storage: inmemory", "inmemory", {}),
        ("storage: {inmemory: }", "inmemory", {}),
        ("storage: {inmemory: {}}", "inmemory", {}),
        ("storage: {s3: {bucket: b, encrypt: yes, chunksize: 0x10, keyid: '5'}}", "s3",
         {"bucket": "b", "encrypt": True, "chunksize": 16, "keyid": "5"}),
        ("storage: {gcs: {credentials: {type: t, list: [1, a]}}, delete: {enabled: on}}", "gcs",
         {"credentials": {"type": "t", "list": [1, "a"]}}),
    ],
)  # fmt: skip
def test_the_one_other_key_of_storage_is_its_driver(text: str, driver: str, parameters: object) -> None:
    storage = configure(text, base="version: 0.1\n").storage
    assert (storage.driver, storage.parameters) == (driver, parameters)


def test_a_string_is_the_text_that_was_written() -> None:
    configuration = configure("http: {secret: 0123456, host: yes, addr: 1e3}\nlog: {fields: {n: 5}}")
    assert (configuration.http.secret, configuration.http.host, configuration.http.addr) == ("0123456", "yes", "1e3")
    assert configuration.log.fields == {"n": 5}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60.0), ("'1h30m'", 5400.0), ("1500000000", 1.5), ("60", 6e-8), ("0", 0.0), ("7d", 604800.0)],
)
def test_a_bare_number_is_nanoseconds(text: str, seconds: float) -> None:
    assert configure(f"http: {{draintimeout: {text}}}").http.draintimeout_seconds == seconds


def test_null_means_not_given() -> None:
    text = "http: {addr: , net: ~, workers: , headers: , tls: }\nlog:\nauth:\nhealth: ~\nproxy: {ttl: }"
    assert configure(text) == configure()


@pytest.mark.parametrize(
    "text",
    [
        "catalog: {maxentries: 0}",
        "catalog: {maxentries: -5}",
        "tags: {maxtags: 0}",
        "http: {net: '', debug: {prometheus: {path: ''}}}",
        "log: {level: '', formatter: ''}",
        "notifications: {endpoints: []}",
    ],
)
def test_zero_means_the_default_where_go_cannot_tell_them_apart(text: str) -> None:
    assert configure(text) == configure()


def test_zero_and_less_are_values_where_they_mean_something() -> None:
    text = "proxy: {ttl: 0}\nstorage: {inmemory: , cache: {blobdescriptorsize: -1}}\nredis: {maxretries: -1}"
    configuration = configure(text, base="version: 0.1\n")
    assert configuration.proxy.ttl_seconds == 0.0
    assert configuration.storage.cache.blobdescriptorsize == -1
    assert configuration.redis.maxretries == -1


def test_words_of_a_list_are_taken_in_any_case() -> None:
    configuration = configure("log: {level: WARN}\nvalidation: {manifests: {indexes: {platforms: List}}}")
    assert configuration.log.level == "warn"
    assert configuration.validation.manifests.indexes.platforms == "list"


def test_lists_of_sections_are_read() -> None:
    text = "validation: {manifests: {indexes: {platformlist: [{architecture: amd64, os: linux}, ~]}}}"
    assert configure(text).validation.manifests.indexes.platformlist == (Platform("amd64", "linux"), Platform())


def test_patterns_are_compiled() -> None:
    text = r"validation: {manifests: {urls: {allow: ['^https?://([^/]+\.)*example\.com/'], deny: [x]}}}"
    urls = configure(text).validation.manifests.urls
    assert urls.allow[0].found_in("https://www.example.com/layer")
    assert urls.deny[0].text == "x"


@pytest.mark.parametrize(
    ("text", "enabled"),
    [
        ("{}", True),
        ("{disabled: true}", False),
        ("{enabled: false}", True),
        ("{enabled: true, disabled: true}", True),
        ("{enabled: false, disabled: true}", False),
    ],
)
def test_validation_is_on_unless_disabled_and_not_enabled(text: str, enabled: bool) -> None:
    assert configure(f"validation: {text}").validation == Validation(disabled=not enabled)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("htpp: {addr: x}", "htpp: unknown key, ignored (is http meant?)"),
        ("http: {draintimout: 5}", "http.draintimout: unknown key, ignored (is draintimeout meant?)"),
        ("http: {debug: {zzz: {}}}", "http.debug.zzz: unknown key, ignored"),
        ("log: {hooks: [{disabled: true}, {disabled: true, qq: 1}]}", "log.hooks[1].qq: unknown key, ignored"),
        (
            "http: {host: registry.example}",
            "http.host: ignored, as it is not a whole URL such as https://registry.example",
        ),
        (
            "http: {headers: {Content-Length: ['5']}}",
            "http.headers.Content-Length: belongs to a single message or connection, ignored",
        ),
        (
            "http: {headers: {connection: [close]}}",
            "http.headers.connection: belongs to a single message or connection, ignored",
        ),
        ("http: {addr: a, addr: b}", "http.addr: given more than once, the last one counts"),
        ("http: {headers: {X A: [b]}}", "http.headers.X A: cannot be the name of a header, ignored"),
        (
            "http: {tls: {letsencrypt: {hosts: [a.example]}}}",
            "http.tls.letsencrypt: ignored without cachefile, so that there is no TLS from it",
        ),
        ("HTTP: {addr: x}", "HTTP: unknown key, ignored (is http meant?)"),
        ("http: {adress: x}", "http.adress: unknown key, ignored (is addr meant?)"),
        ("reporting: {bugsnag: {apikey: k}}", "reporting: has no meaning any more, ignored"),
        ("compatibility: {schema1: {enabled: true}}", "compatibility: has no meaning any more, ignored"),
        ("loglevel: debug", "loglevel: old name of log.level"),
        ("loglevel: debug\nlog: {level: info}", "loglevel: old name of log.level, which is given as well: ignored"),
    ],
)
def test_a_key_without_effect_is_a_warning_with_its_path(text: str, expected: str) -> None:
    assert configure(text).warnings == (expected,)


def test_a_rule_whose_user_is_given_twice_is_a_warning_and_a_merge_that_is_overridden_is_not() -> None:
    rules = "rules: [{repositories: a, user:bob: [pull]}, {repositories: b, user:bob: [pull], user:bob: [push]}]"
    assert configure(f"auth: {{local: {{{rules}}}}}").warnings == (
        "auth.local.rules[1].user:bob: given more than once, the last one counts",
    )
    assert configure("log: {fields: {<<: {a: b, c: d}, a: e}}").warnings == ()


def test_the_level_of_registry_1_is_used_if_there_is_no_other() -> None:
    assert configure("loglevel: debug\nlog: {level: }").log.level == "debug"
    assert configure("loglevel: debug\nlog: {level: warn}").log.level == "warn"


def test_the_redis_section_of_registry_2_is_mapped() -> None:
    text = "redis: {addr: 'a:1', password: p, pool: {maxidle: 1, maxactive: 2, idletimeout: 3s}}"
    configuration = configure(text)
    redis = configuration.redis
    assert (redis.addrs, redis.maxidleconns, redis.poolsize, redis.connmaxidletime_seconds) == (("a:1",), 1, 2, 3.0)
    assert not [w for w in configuration.warnings if "unknown" in w]


def test_the_cache_section_of_older_registries_is_mapped() -> None:
    text = "version: 0.1\nstorage: {inmemory: , cache: {layerinfo: inmemory}}"
    assert configure(base=text).storage.cache.blobdescriptor == "inmemory"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http: 5", "http: must be a mapping, not a number"),
        ("http: [a]", "http: must be a mapping, not a list"),
        ("http: {tls: yes}", "http.tls: must be a mapping, not true or false"),
        ("http: {addr: [a]}", "http.addr: must be a string, not a list; quote it"),
        ("http: {relativeurls: 'true'}", 'http.relativeurls: must be true or false, not "true"'),
        ("http: {relativeurls: 1}", "http.relativeurls: must be true or false, not 1"),
        ("http: {draintimeout: soon}", 'http.draintimeout: must be a duration such as 1h30m, not "soon"'),
        ("http: {draintimeout: '60'}", 'http.draintimeout: must be a duration such as 1h30m, not "60"'),
        ("http: {draintimeout: -5s}", 'http.draintimeout: must not be negative: "-5s"'),
        ("http: {draintimeout: -5}", "http.draintimeout: must not be negative: -5"),
        ("http: {draintimeout: 9223372036854775808}", "http.draintimeout: must be a duration such as 1h30m, not 922"),
        ("http: {draintimeout: 1.5}", "http.draintimeout: must be a duration such as 1h30m, not 1.5"),
        ("http: {draintimeout: true}", "http.draintimeout: must be a duration such as 1h30m, not true"),
        ("http: {draintimeout: [1s]}", "http.draintimeout: must be a duration such as 1h30m, not a list"),
        ("http: {workers: 0}", "http.workers: must be at least 1, not 0"),
        ("http: {threads: -1}", "http.threads: must be at least 1, not -1"),
        ("http: {workers: 1000000000}", "http.workers: must be at most 1024, not 1000000000"),
        ("http: {threads: 1000000000}", "http.threads: must be at most 4096, not 1000000000"),
        ("http: {threads: many}", 'http.threads: must be a whole number, not "many"'),
        ("http: {threads: 1.5}", "http.threads: must be a whole number, not 1.5"),
        ("http: {threads: true}", "http.threads: must be a whole number, not true"),
        ("http: {threads: {}}", "http.threads: must be a whole number, not a mapping"),
        (
            "http: {maxconnections: 99999999999999999999}",
            "http.maxconnections: must be less than 2**63, not 99999999999999999999",
        ),
        ("http: {net: udp}", 'http.net: must be one of tcp, unix, not "udp"'),
        ("http: {net: [tcp]}", "http.net: must be one of tcp, unix, not a list"),
        ("http: {headers: {X: no-sniff}}", "http.headers.X: must be a list, not a string"),
        ("http: {headers: {X: [{}]}}", "http.headers.X[0]: must be a string, not a mapping; quote it"),
        ('http: {headers: {X: ["a\\eb"]}}', "http.headers.X: must not hold control characters"),
        ("http: {host: 'http://['}", "http.host: must be a URL such as https://registry.example, not "),
        ('http: {host: "https://a b"}', "http.host: must be a URL such as https://registry.example, not "),
        ('http: {host: "a\\0b"}', "http.host: holds a NUL, or a character that is not one of Unicode"),
        ('auth: {htpasswd: {realm: r, path: "a\\0b"}}', "auth.htpasswd.path: holds a NUL, or a character that"),
        ("http: {headers: []}", "http.headers: must be a mapping, not a list"),
        ("http: {prefix: a/}", 'http.prefix: must begin with a slash, not "a/"'),
        (
            "http: {trustedproxies: ['::1', nginx]}",
            'http.trustedproxies[1]: must be an address or a network, such as 192.0.2.1 or 10.0.0.0/8, not "nginx"',
        ),
        (
            "http: {trustedproxies: [10.1.2.3/8]}",
            'http.trustedproxies[0]: must be the address of a network, such as 10.0.0.0/8, not "10.1.2.3/8"',
        ),
        ("http: {trustedproxies: 10.0.0.1}", "http.trustedproxies: must be a list, not a string"),
        ("http: {accelredirect: {prefix: x}}", 'http.accelredirect.prefix: must begin with a slash, not "x"'),
        ("http: {tls: {clientauth: maybe}}", "http.tls.clientauth: must be one of request-client-cert, "),
        ("http: {tls: {minimumtls: ssl3}}", "http.tls.minimumtls: must be one of tls1.0, "),
        ("log: {level: trace}", 'log.level: must be one of error, warn, info, debug, not "trace"'),
        ("loglevel: fatal", 'log.level: must be one of error, warn, info, debug, not "fatal" (set by loglevel)'),
        ("log: {level: inof}", 'log.level: must be one of error, warn, info, debug, not "inof" (is info meant?)'),
        ("http: 5", 'http: must be a mapping, not a number; write, for example, http: {addr: ":5000"}'),
        ("health: on", "health: must be a mapping, not true or false; write, for example, health: {storagedriver: {"),
        ("policy: {repository: {classes: image}}", "policy.repository.classes: must be a list, not a string; write, "),
        ("log: {formatter: xml}", 'log.formatter: must be one of text, json, logstash, terminal, not "xml"'),
        ("log: {hooks: [{levels: error}]}", "log.hooks[0].levels: must be a list, not a string"),
        ("log: {hooks: {}}", "log.hooks: must be a list, not a mapping"),
        ("log: {hooks: [5]}", "log.hooks[0]: must be a mapping, not a number"),
        ("tags: {maxtags: -1}", "tags.maxtags: must be at least 0, not -1"),
        ("health: {http: [{timeout: -1s}]}", 'health.http[0].timeout: must not be negative: "-1s"'),
        ("redis: {db: -1}", "redis.db: must be at least 0, not -1"),
        ("validation: {enabled: 5}", "validation.enabled: must be true or false"),
        ("validation: {manifests: {urls: {deny: [a, '(']}}}", "validation.manifests.urls.deny[1]: must be a regular"),
        (
            "validation: {manifests: {urls: {allow: ['a(?=b)']}}}",
            "validation.manifests.urls.allow[0]: must be a regular",
        ),
        ("validation: {manifests: {urls: {deny: ['(a)\\1']}}}", "validation.manifests.urls.deny[0]: must be a regular"),
        ("validation: {manifests: {indexes: {platforms: some}}}", "validation.manifests.indexes.platforms: must be"),
        ("policy: {repository: {classes: image}}", "policy.repository.classes: must be a list, not a string"),
        ("auth: [htpasswd]", "auth: must be a mapping, not a list"),
        ("auth: {htpasswd: , token: }", "auth: must name exactly one type, given: htpasswd, token"),
        ("auth: {htpasswd: /path}", "auth.htpasswd: must be a mapping, not a string"),
        ("middleware: {storage: {name: x}}", "middleware.storage: must be a list, not a mapping"),
        ("notifications: {endpoints: [{threshold: -1}]}", "notifications.endpoints[0].threshold: must be at least 0"),
        ("5", "config.yml: "),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_begins_with_its_path(text: str, expected: str) -> None:
    assert refusal(text).startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "config.yml: must hold a mapping of keys"),
        ("- a", "config.yml: must hold a mapping of keys"),
        ("storage: inmemory", "version: missing; the format is version 0.1"),
        ("version: 0.2", "version: unsupported (0.2); the format is version 0.1"),
        ("version: 0.10", "version: unsupported (0.10); the format is version 0.1"),
        ("version: [0, 1]", "version: unsupported (not a number); the format is version 0.1"),
        ("version: 0.1", "storage: must name exactly one type, given: none"),
        ("version: 0.1\nstorage: ", "storage: must name exactly one type, given: none"),
        ("version: 0.1\nstorage: {delete: {enabled: true}}", "storage: must name exactly one type, given: none"),
        ("version: 0.1", "storage: must name exactly one type, given: none; write, for example, storage: {"),
        ("version: 0.1\nstorage: {a: , b: }", "storage: must name exactly one type, given: a, b"),
        ("version: 0.1\nstorage: [a]", "storage: must be a mapping, not a list"),
        ("version: 0.1\nstorage: {filesystem: /data}", "storage.filesystem: must be a mapping, not a string"),
        ("version: 0.1\nstorage: {a: , delete: {enabled: 'true'}}", "storage.delete.enabled: must be true or false"),
        ("version: 0.1\nstorage: {a: , redirect: {disable: 1}}", "storage.redirect.disable: must be true or false"),
        ("version: 0.1\nstorage: {a: , tag: {concurrencylimit: -1}}", "storage.tag.concurrencylimit: must be at"),
        ("version: 0.1\nstorage: {a: , maintenance: {readonly: true}}", "storage.maintenance.readonly: must be a map"),
        ("version: 0.1\nstorage: {a: , maintenance: {uploadpurging: {age: 168}}}",
         "storage.maintenance.uploadpurging.age: must be a duration such as 1h30m, not 168"),
        ("version: 0.1\nstorage: {a: , maintenance: {uploadpurging: {interval: -1h}}}",
         "storage.maintenance.uploadpurging.interval: must not be negative"),
        ("version: 0.1\nstorage: {a: , maintenance: {uploadpurging: {enabled: 'false'}}}",
         'storage.maintenance.uploadpurging.enabled: must be true or false, not "false"'),
    ],
)  # fmt: skip
def test_a_file_without_a_version_and_one_driver_is_refused(text: str, expected: str) -> None:
    assert refusal(base=text).startswith(expected)


def test_an_error_shows_no_header_that_might_be_a_credential() -> None:
    text = "notifications: {endpoints: [{headers: {Authorization: Basic hunter2}}]}"
    assert "hunter2" not in refusal(text)


def test_a_file_is_read_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_bytes(b"\xef\xbb\xbf" + FILESYSTEM.encode())
    assert load(str(path), {}).storage.parameters == {"rootdirectory": "/data"}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("http: {stalltimeout: 60}", "http.stalltimeout"),
        ("http: {headertimeout: 60}", "http.headertimeout"),
        ("http: {draindelay: 60.0}", "http.draindelay"),
        ("http: {cors: {maxage: 0x3c}}", "http.cors.maxage"),
        ("http: {draintimeout: '60'}", "http.draintimeout"),
        ("http: {draintimeout: !!str 60}", "http.draintimeout"),
    ],
)
def test_a_duration_without_a_unit_is_refused_where_the_go_registry_has_no_key_or_refuses_it(
    text: str, where: str
) -> None:
    message = refusal(text)
    assert message.startswith(f"{where}: must be a duration such as 1h30m, not ")
    assert message.endswith("; a unit is missing, as in 60s")


@pytest.mark.parametrize("key", ["stalltimeout", "headertimeout", "draindelay", "draintimeout"])
def test_zero_needs_no_unit(key: str) -> None:
    configuration = configure(f"http: {{{key}: 0}}")
    assert getattr(configuration.http, f"{key}_seconds") == 0
    assert configuration.warnings == ()


@pytest.mark.parametrize(
    ("text", "key", "number", "spelled"),
    [
        ("http: {draintimeout: 60}", "http.draintimeout", 60, "60ns"),
        ("health: {http: [{timeout: 90000000000}]}", "health.http[0].timeout", 90000000000, "1m30s"),
        ("proxy: {ttl: 1e3}", "proxy.ttl", 1000, "1000ns"),
    ],
)
def test_a_duration_without_a_unit_is_a_warning_where_the_go_registry_takes_it(
    text: str, key: str, number: int, spelled: str
) -> None:
    taken = f"{key}: {number} means {number} ns, as for the Go registry, since it has no unit"
    assert configure(text).warnings == (f"{taken}; write {number}s if seconds are meant, else {spelled}",)


def test_a_negative_duration_without_a_unit_is_a_word_of_its_own_and_no_warning() -> None:
    configuration = configure(
        "redis: {addrs: [a], minretrybackoff: -1}\nstorage: {inmemory: , cache: {blobdescriptor: redis}}",
        base="version: 0.1\n",
    )
    assert configuration.redis.minretrybackoff_seconds == -1e-9
    assert configuration.warnings == ()


def test_a_file_may_be_in_utf_16_if_it_says_so(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_bytes(FILESYSTEM.encode("utf-16"))
    assert load(str(path), {}).storage.parameters == {"rootdirectory": "/data"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\xff\xfe", "must hold a mapping of keys"),
        (FILESYSTEM.encode() + b"http: {secret: \xe9}\n#", "not YAML: line 3: invalid trailing UTF-8 octet"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "config.yml"
    if content:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load(str(path), {})
    assert str(caught.value) == f"{path}: {reason}"


def test_a_section_that_is_given_twice_is_one_section() -> None:
    configuration = configure(
        "http: {addr: a, tls: {key: k}}\nlog: {level: warn}\nhttp: {net: unix, tls: {certificate: c}}"
    )
    assert configuration.http == HTTP(addr="a", net="unix", tls=TLS(certificate="c", key="k"))


def test_a_map_of_a_section_that_is_given_twice_is_one_map_of_the_last_values() -> None:
    configuration = configure("http: {headers: {A: [x], B: [x]}}\nhttp: {headers: {B: [y], C: [z]}}")
    assert configuration.http.headers == {"A": ("x",), "B": ("y",), "C": ("z",)}


@pytest.mark.parametrize("again", ["http:", "http: null"])
def test_a_section_that_is_given_again_without_a_value_is_empty(again: str) -> None:
    assert configure(f"http: {{addr: a}}\n{again}").http.addr == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x: &x {addr: a, net: unix}\nhttp: {<<: *x, addr: b}", HTTP(addr="b", net="unix")),
        ("x: &x {addr: a, net: unix}\nhttp: {addr: b, <<: *x}", HTTP(addr="a", net="unix")),
        ("x: &x {tls: {key: k}}\nhttp: {tls: {certificate: c}, <<: *x}", HTTP(tls=TLS(certificate="c", key="k"))),
        ("x: &x {addr: a}\ny: &y {addr: b, net: unix}\nhttp: {<<: [*x, *y]}", HTTP(addr="a", net="unix")),
    ],
)
def test_what_is_merged_into_a_section_counts_where_it_stands(text: str, expected: HTTP) -> None:
    assert configure(text).http == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auth: {htpasswd: {realm: a, path: /p}}\nauth: {htpasswd: {path: /q}}", Plugin("htpasswd", {"path": "/q"})),
        ("auth: {htpasswd: {path: /p}}\nauth: silly", Plugin("silly")),
    ],
)
def test_of_a_plugin_that_is_chosen_twice_the_last_choice_counts_alone(text: str, expected: Plugin) -> None:
    assert configure(text).auth == expected


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load(str(tmp_path), {})


def test_the_argument_goes_before_the_variable() -> None:
    environ = {"REGISTRY_CONFIGURATION_PATH": "/b"}
    assert find_path("/a", environ) == "/a"
    assert find_path(None, environ) == "/b"
    with pytest.raises(ConfigurationError, match=r"^CONFIG: is empty"):
        find_path("", environ)


def test_without_any_file_the_error_lists_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.config.loading._DEFAULT_PATHS", ("/nowhere/a", "/nowhere/b"))
    with pytest.raises(ConfigurationError) as caught:
        find_path(None, {"REGISTRY_CONFIGURATION_PATH": ""})
    assert "the argument CONFIG, REGISTRY_CONFIGURATION_PATH, /nowhere/a, /nowhere/b" in str(caught.value)


def test_the_first_file_that_exists_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "b").write_text(SMALLEST)
    monkeypatch.setattr("registry.config.loading._DEFAULT_PATHS", (str(tmp_path / "a"), str(tmp_path / "b")))
    assert find_path(None, {}) == str(tmp_path / "b")
