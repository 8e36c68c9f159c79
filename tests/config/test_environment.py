from __future__ import annotations

import pytest

from registry.config import Configuration
from registry.config.remote import Redis, RedisTLS
from registry.config.schema import Key, keys
from registry.config.values import HTTP, TLS, Plugin
from tests.config.forms import FILESYSTEM, configure, refusal


@pytest.mark.parametrize(
    ("name", "value", "attribute", "expected"),
    [
        ("REGISTRY_HTTP_ADDR", ":5000", "http.addr", ":5000"),
        ("REGISTRY_HTTP_SECRET", "123456", "http.secret", "123456"),
        ("REGISTRY_HTTP_SECRET", "yes", "http.secret", "yes"),
        ("REGISTRY_HTTP_SECRET", "0123", "http.secret", "0123"),
        ("REGISTRY_HTTP_SECRET", "'a: b'", "http.secret", "a: b"),
        ("REGISTRY_HTTP_SECRET", "", "http.secret", ""),
        ("REGISTRY_HTTP_RELATIVEURLS", "on", "http.relativeurls", True),
        ("REGISTRY_HTTP_DRAINTIMEOUT", "1m", "http.draintimeout_seconds", 60.0),
        ("REGISTRY_HTTP_WORKERS", "3", "http.workers", 3),
        ("REGISTRY_HTTP", "{addr: ':1', net: unix}", "http.net", "unix"),
        ("REGISTRY_HTTP_HTTP2_DISABLED", "true", "http.http2.disabled", True),
        ("REGISTRY_HTTP_TRUSTEDPROXIES", "[10.0.0.0/8, '::1']", "http.trustedproxies", ("10.0.0.0/8", "::1")),
        ("REGISTRY_HTTP_TRUSTEDPROXIES_0", "192.0.2.1", "http.trustedproxies", ("192.0.2.1",)),
        ("REGISTRY_HTTP_TRUSTEDPROXIES", "[]", "http.trustedproxies", ()),
        ("REGISTRY_HTTP_TLS_CLIENTCAS", "[a, b]", "http.tls.clientcas", ("a", "b")),
        ("REGISTRY_LOG_LEVEL", "DEBUG", "log.level", "debug"),
        ("REGISTRY_LOGLEVEL", "error", "log.level", "error"),
        ("REGISTRY_LOG_FIELDS_SERVICE", "x", "log.fields", {"service": "x"}),
        ("REGISTRY_STORAGE_DELETE_ENABLED", "true", "storage.delete.enabled", True),
        ("REGISTRY_STORAGE_DELETE", "{enabled: yes}", "storage.delete.enabled", True),
        ("REGISTRY_CATALOG_MAXENTRIES", "50", "catalog.maxentries", 50),
        ("REGISTRY_VALIDATION_DISABLED", "true", "validation.enabled", False),
        ("REGISTRY_PROXY_TTL", "0", "proxy.ttl_seconds", 0.0),
        ("REGISTRY_PROXY_EXEC_LIFETIME", "1h", "proxy.exec.lifetime_seconds", 3600.0),
        # spelled as in the Go registry's source
        ("REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES", "true",
         "notifications.events.includereferences", True),
        ("REGISTRY_HEALTH_FILECHECKERS_0_FILE", "/x", "health.file.0.file", "/x"),
        ("REGISTRY_HEALTH_HTTPCHECKERS_0_STATUSCODE", "204", "health.http.0.statuscode", 204),
        ("REGISTRY_HEALTH_TCPCHECKERS_0_ADDR", "a:1", "health.tcp.0.addr", "a:1"),
        ("REGISTRY_LOG_HOOKS_0_MAILOPTIONS_FROM", "a@b", "log.hooks.0.options.from_", "a@b"),
        ("REGISTRY_REDIS_OPTIONS_DB", "3", "redis.db", 3),
        # and as in the file
        ("REGISTRY_NOTIFICATIONS_EVENTS_INCLUDEREFERENCES", "true", "notifications.events.includereferences", True),
        ("REGISTRY_HEALTH_FILE_0_FILE", "/x", "health.file.0.file", "/x"),
        ("REGISTRY_LOG_HOOKS_0_OPTIONS_SMTP_ADDR", "a:25", "log.hooks.0.options.smtp.addr", "a:25"),
        ("REGISTRY_REDIS_DB", "3", "redis.db", 3),
        # what the Go registry documents or suggests, and breaks
        ("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true", "storage.maintenance.readonly.enabled", True),
        ("REGISTRY_STORAGE_MAINTENANCE_READONLY", '{"enabled":true}', "storage.maintenance.readonly.enabled", True),
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED", "no",
         "storage.maintenance.uploadpurging.enabled", False),
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE", "1h",
         "storage.maintenance.uploadpurging.age_seconds", 3600.0),
        ("REGISTRY_STORAGE_REDIRECT_DISABLE", "true", "storage.redirect.disable", True),
        ("REGISTRY_HTTP_TLS_LETSENCRYPT_HOSTS_0", "h.example", "http.tls.letsencrypt.hosts", ("h.example",)),
        ("REGISTRY_REDIS_ADDRS_0", "a:1", "redis.addrs", ("a:1",)),
        ("REGISTRY_REDIS_ADDR", "a:1", "redis.addrs", ("a:1",)),
        ("REGISTRY_REDIS_POOL_MAXACTIVE", "7", "redis.poolsize", 7),
        ("REGISTRY_HTTP_HEADERS_X-FOO", "[bar]", "http.headers", {"x-foo": ("bar",)}),
        ("REGISTRY_HTTP_HEADERS_X-FOO_0", "bar", "http.headers", {"x-foo": ("bar",)}),
    ],
)  # fmt: skip
def test_a_variable_sets_its_key(name: str, value: str, attribute: str, expected: object) -> None:
    found: object = configure(environ={name: value})
    for part in attribute.split("."):
        found = found[int(part)] if isinstance(found, tuple) else getattr(found, part)
    assert found == expected
    assert not [w for w in configure(environ={name: value}).warnings if "no such key" in w]


def _leaves(section: type, name: str) -> list[tuple[str, Key]]:
    found = []
    for key in keys(section).values():
        path = f"{name}_{key.name.upper()}"
        found += _leaves(key.shape.base, path) if key.shape.is_section else [(path, key)]
    return found


@pytest.mark.parametrize("name", [name for name, _ in _leaves(Configuration, "REGISTRY") if "VERSION" not in name])
def test_every_key_has_a_variable_that_is_known(name: str) -> None:
    assert not [w for w in configure(environ={name: ""}).warnings if "no such key" in w]


@pytest.mark.parametrize("value", ["5\t# a comment", "\n5\n---\n[", "!!int '5'", "0x5", "\ufeff5"])
def test_a_value_is_read_as_the_first_document_of_a_file(value: str) -> None:
    assert configure(environ={"REGISTRY_CATALOG_MAXENTRIES": value}).catalog.maxentries == 5


def test_a_section_that_has_a_part_twice_has_it_once() -> None:
    environ = {"REGISTRY_HTTP": "{tls: {key: k}, addr: a, tls: {certificate: c}}"}
    assert configure(environ=environ).http == HTTP(addr="a", tls=TLS(certificate="c", key="k"))


def test_the_options_of_redis_are_all_of_its_keys_but_tls() -> None:
    text = "redis: {db: 3, tls: {key: k}}"
    redis = configure(text, {"REGISTRY_REDIS_OPTIONS": "{addrs: [a]}", "REGISTRY_REDIS_OPTIONS_PASSWORD": "p"}).redis
    assert redis == Redis(addrs=("a",), password="p", tls=RedisTLS(key="k"))


def test_a_section_is_replaced_and_not_merged() -> None:
    text = "version: 0.1\nstorage: {filesystem: {rootdirectory: /x}, delete: {enabled: true}}\n"
    configuration = configure(base=text, environ={"REGISTRY_STORAGE": "inmemory"})
    assert configuration.storage.driver == "inmemory"
    assert configuration.storage.parameters == {}
    assert not configuration.storage.delete.enabled


def test_a_section_is_replaced_before_what_is_in_it() -> None:
    environ = {"REGISTRY_STORAGE_S3_BUCKET": "b", "REGISTRY_STORAGE": "s3", "REGISTRY_STORAGE_S3_CHUNKSIZE": "5242880"}
    configuration = configure(base=FILESYSTEM, environ=environ)
    assert configuration.storage.driver == "s3"
    assert configuration.storage.parameters == {"bucket": "b", "chunksize": 5242880}


HTPASSWD = "auth: {htpasswd: {realm: r, path: /p}}\n"


@pytest.mark.parametrize("auth", ["", HTPASSWD])
def test_the_credentials_of_podman_and_skopeo_are_no_configuration(auth: str) -> None:
    environ = {"REGISTRY_AUTH_FILE": "/run/containers/0/auth.json"}
    assert configure(auth, environ=environ) == configure(auth)


def test_the_credentials_of_podman_and_skopeo_take_the_place_of_no_controller() -> None:
    environ = {"REGISTRY_AUTH": "token", "REGISTRY_AUTH_FILE": "/x", "REGISTRY_AUTH_TOKEN_REALM": "r"}
    auth = configure(HTPASSWD, environ=environ).auth
    assert auth == Plugin("token", {"realm": "r"})


def test_parameters_of_a_controller_called_file_are_still_its_own() -> None:
    environ = {"REGISTRY_AUTH": "file", "REGISTRY_AUTH_FILE_PATH": "/x"}
    assert configure(environ=environ).auth == Plugin("file", {"path": "/x"})


def test_a_second_driver_is_refused_with_a_hint() -> None:
    message = refusal(base=FILESYSTEM, environ={"REGISTRY_STORAGE_S3_BUCKET": "b"})
    assert message.startswith("storage: must name exactly one type, given: filesystem, s3 (")
    assert "REGISTRY_STORAGE=NAME" in message


def test_a_driver_without_parameters_takes_one_from_a_variable() -> None:
    configuration = configure(
        base="version: 0.1\nstorage:\n  filesystem:\n",
        environ={"REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "/data"},
    )
    assert configuration.storage.parameters == {"rootdirectory": "/data"}


def test_a_storage_named_by_one_word_takes_parameters_from_variables() -> None:
    configuration = configure(environ={"REGISTRY_STORAGE_INMEMORY_X_Y": "1"})
    assert configuration.storage.parameters == {"x": {"y": 1}}


def test_an_empty_value_of_a_driver_gives_it_no_parameters() -> None:
    assert configure(base=FILESYSTEM, environ={"REGISTRY_STORAGE_FILESYSTEM": ""}).storage.parameters == {}


def test_a_key_of_the_file_is_matched_in_upper_case_also_where_it_has_underscores() -> None:
    text = "version: 0.1\nstorage: {azure: {max_retries: 1, Credentials: {client_id: a}}}\n"
    environ = {"REGISTRY_STORAGE_AZURE_MAX_RETRIES": "5", "REGISTRY_STORAGE_AZURE_CREDENTIALS_CLIENT_ID": "b"}
    parameters = configure(base=text, environ=environ).storage.parameters
    assert parameters == {"max_retries": 5, "Credentials": {"client_id": "b"}}


def test_a_header_of_the_file_is_replaced_under_its_own_spelling() -> None:
    configuration = configure("http: {headers: {X-Foo: [a]}}", {"REGISTRY_HTTP_HEADERS_X-FOO": "[b]"})
    assert configuration.http.headers == {"X-Foo": ("b",)}


def test_auth_is_asked_for_by_one_variable_alone() -> None:
    asked = configure(environ={"REGISTRY_AUTH_HTPASSWD_PATH": "/x"}).auth
    assert asked == Plugin("htpasswd", {"path": "/x"})


@pytest.mark.parametrize("value", ["none", "None", "NONE", "{none: {}}", ""])
def test_auth_none_is_no_auth(value: str) -> None:
    assert configure(environ={"REGISTRY_AUTH": value}).auth is None


def test_an_index_edits_an_element_and_the_next_one_appends() -> None:
    text = "log: {hooks: [{type: mail, levels: [error]}]}"
    environ = {"REGISTRY_LOG_HOOKS_0_LEVELS_0": "panic", "REGISTRY_LOG_HOOKS_1_TYPE": "other"}
    first, second = configure(text, environ).log.hooks
    assert (first.type, first.levels) == ("mail", ("panic",))
    assert second.type == "other"


def test_more_than_ten_elements_can_be_appended() -> None:
    environ = {f"REGISTRY_REDIS_ADDRS_{i}": f"host:{i}" for i in range(12)}
    assert configure(environ=environ).redis.addrs == tuple(f"host:{i}" for i in range(12))


def test_an_index_past_the_end_is_refused() -> None:
    message = refusal(environ={"REGISTRY_REDIS_ADDRS_1": "a:1"})
    assert message == "redis.addrs: REGISTRY_REDIS_ADDRS_1 names element 1, but there are 0 before it"


@pytest.mark.parametrize("index", ["X", "-1", "", "\u0661"])
def test_a_list_has_no_named_elements(index: str) -> None:
    assert refusal(environ={f"REGISTRY_REDIS_ADDRS_{index}": "a"}).startswith("redis.addrs: ")


@pytest.mark.parametrize(
    "name",
    [
        "REGISTRY_PORT",
        "REGISTRY_PORT_5000_TCP_ADDR",
        "REGISTRY_SERVICE_HOST",
        "REGISTRY_HTTP_PORT",
        "REGISTRY_HTTP_ADDR_X",
        "REGISTRY_",
        "REGISTRY__HTTP",
        "REGISTRY_HTTP_TLS_NOBODY",
        "REGISTRY_WARNINGS",
        "REGISTRY_STORAGE_DELETE_WHAT",
    ],
)
def test_a_variable_that_names_nothing_is_a_warning(name: str) -> None:
    assert configure(environ={name: "tcp://10.0.0.1:5000"}).warnings == (f"{name}: no such key, ignored",)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("REGISTRY_HTTP_ADRESS", "REGISTRY_HTTP_ADDR"),
        ("REGISTRY_HTPP_TLS_KEY", "REGISTRY_HTTP_TLS_KEY"),
        ("REGISTRY_HTTP_TSL_KEY", "REGISTRY_HTTP_TLS_KEY"),
        ("REGISTRY_http_secret", "REGISTRY_HTTP_SECRET"),
    ],
)
def test_a_variable_that_is_like_one_that_there_is_is_asked_about(name: str, meant: str) -> None:
    assert configure(environ={name: "x"}).warnings == (f"{name}: no such key, ignored (is {meant} meant?)",)


@pytest.mark.parametrize("value", ["p@[ss: {", "*x", "&", "'", "%a", "\x01", "\udcff", "!!int x", "{a: b", "\t- ["])
@pytest.mark.parametrize("name", ["REGISTRY_PASSWORD", "REGISTRY_HTTP_PASSWORD", "REGISTRY_HTTP_ADDR_X"])
def test_the_value_of_a_variable_that_names_nothing_is_not_looked_at(name: str, value: str) -> None:
    assert configure(environ={name: value}).warnings == (f"{name}: no such key, ignored",)
    assert refusal(environ={"REGISTRY_HTTP_SECRET": value}).startswith("REGISTRY_HTTP_SECRET: not YAML: ")


def test_the_variable_with_the_path_of_the_file_is_no_key() -> None:
    assert configure(environ={"REGISTRY_CONFIGURATION_PATH": "/x"}).warnings == ()


def test_the_version_is_that_of_the_file() -> None:
    configuration = configure(environ={"REGISTRY_VERSION": "9"})
    assert configuration.version == "0.1"
    assert configuration.warnings == ("REGISTRY_VERSION: the version is that of the file, ignored",)


def test_variables_of_others_are_left_alone() -> None:
    assert configure(environ={"PATH": "[", "registry_http_addr": "x", "REGISTRYX_HTTP": "["}).warnings == ()


def test_a_value_that_is_not_yaml_is_refused_without_being_shown() -> None:
    message = refusal(environ={"REGISTRY_HTTP_SECRET": "*hunter2"})
    assert message.startswith("REGISTRY_HTTP_SECRET: not YAML: ")
    assert "hunter2" not in message


def test_a_secret_that_reads_as_a_mapping_is_refused_without_being_shown() -> None:
    message = refusal(environ={"REGISTRY_HTTP_SECRET": "a: hunter2"})
    assert message == "http.secret: must be a string, not a mapping; quote it (set by REGISTRY_HTTP_SECRET)"


def test_an_error_names_the_variable_that_set_the_value_or_the_section() -> None:
    assert refusal(environ={"REGISTRY_HTTP_NET": "udp"}).endswith('"udp" (set by REGISTRY_HTTP_NET)')
    assert refusal(environ={"REGISTRY_HTTP": "{net: udp}"}).endswith('"udp" (set by REGISTRY_HTTP)')
    assert refusal(environ={"REGISTRY_LOGLEVEL": "loud"}).endswith('"loud" (set by REGISTRY_LOGLEVEL)')
    assert refusal("http: {net: udp}", {"REGISTRY_HTTP_ADDR": ":1"}).endswith('"udp"')


def test_a_service_link_that_looks_like_a_driver_is_refused_by_name() -> None:
    message = refusal(environ={"REGISTRY_STORAGE_PORT": "tcp://10.0.0.1:80"})
    assert message.startswith("storage: must name exactly one type, given: inmemory, port")
