from __future__ import annotations

import base64

import pytest

from registry.config import ConfigurationError, effective
from registry.config.loading import parse
from tests.config.forms import SMALLEST, configure, refusal

KEY = "notifications.endpoints[0]"


def endpoint(*lines: str) -> str:
    """Return a section with one endpoint, whose keys are `lines`."""
    return "notifications:\n  endpoints:\n  - " + "\n    ".join(lines) + "\n"


def secret(size: int) -> str:
    return "whsec_" + base64.b64encode(b"s" * size).decode()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "missing: write the URL that events are sent to, or disabled: true"),
        ("ci.example/hook", "must begin with http:// or https://, as https://ci.example/hook does"),
        ("localhost:8080", "must begin with http:// or https://, as "),
        ("ftp://ci.example/", "must begin with http:// or https://, as "),
        ("file:///etc/passwd", "must begin with http:// or https://, as "),
        ("//ci.example/hook", "must begin with http:// or https://, as "),
        ("https:///hook", "has no host; write one, as in https://ci.example/hook"),
        ("https://:8080/hook", "has no host; write one, as in "),
        ("https://u@/hook", "has no host; write one, as in "),
        ("http:ci.example", "has no host; write one, as in "),
        ("https://ci.example:0/", "its port must be a number from 1 to 65535"),
        ("https://ci.example:66000/", "its port must be a number from 1 to 65535"),
        ("https://ci.example:web/", "its port must be a number from 1 to 65535"),
        ("https://[::1/", "must be a URL such as https://ci.example/hook: Invalid IPv6 URL"),
        ("https://ci.example/a b", "must not hold spaces or control characters; write them as %20"),
        ('"https://ci.example/a\\tb"', "must not hold spaces or control characters"),
    ],
)
def test_url_to_which_nothing_can_be_sent_is_refused(url: str, said: str) -> None:
    quoted = url if url.startswith('"') else f"'{url}'"
    assert refusal(endpoint("name: ci", f"url: {quoted}")).startswith(f"{KEY}.url: {said}")


@pytest.mark.parametrize("url", ["user:hunter2@ci.example/", "https://u:hunter2@/?sig=hunter2", "https://a:hunter2/"])
def test_url_that_is_refused_is_not_shown(url: str) -> None:
    assert "hunter2" not in refusal(endpoint("name: ci", f"url: '{url}'"))


def test_endpoint_without_a_url_is_refused() -> None:
    assert refusal(endpoint("name: ci")).startswith(f"{KEY}.url: missing: ")


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:5001/callback",
        "https://ci.example",
        "HTTPS://CI.example:443/hook?token=x",
        "http://[::1]:8080/",
        "http://user:password@127.0.0.1/",
        "https://bücher.example/",
    ],
)
def test_url_of_a_web_server_is_taken_as_it_is(url: str) -> None:
    configuration = configure(endpoint("name: ci", f"url: '{url}'"))
    assert configuration.notifications.endpoints[0].url == url
    assert configuration.warnings == ()


def test_endpoint_without_a_name_is_called_as_the_host_of_its_url() -> None:
    configuration = configure(endpoint("url: https://u:hunter2@CI.example:8443/hook"))
    assert configuration.notifications.endpoints[0].name == "ci.example"
    assert "name: ci.example\n" in effective(configuration)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("{name: ci, url: 'https://a.example'}", "{name: ci, url: 'https://b.example'}", "ci is what endpoints[0]"),
        ("{url: 'https://a.example/1'}", "{url: 'https://a.example/2'}", "a.example is what endpoints[0] is called as"),
        ("{name: a.example, url: 'https://b.example'}", "{url: 'https://a.example'}", "a.example is what endpoints[0]"),
    ],
)
def test_two_endpoints_of_one_name_are_refused(first: str, second: str, said: str) -> None:
    text = f"notifications:\n  endpoints:\n  - {first}\n  - {second}\n"
    assert refusal(text).startswith(f"notifications.endpoints[1].name: {said}")


def test_endpoint_that_is_disabled_may_be_anything_and_may_share_a_name() -> None:
    text = """
notifications:
  endpoints:
  - {name: ci, url: 'https://a.example'}
  - {name: ci, disabled: true, url: 'nothing', secret: x, repositories: ['***'], ignore: {actions: [psuh]}}
  - {disabled: true}
"""
    assert configure(text).warnings == ()


@pytest.mark.parametrize(
    "wrong",
    [
        "hunter2",
        "whsec_hunter2!",
        "whsec_",
        secret(23),
        secret(65),
        secret(32).removeprefix("whsec_"),
        secret(32) + "\\n",
        secret(32)[:-2],
    ],
)
def test_secret_that_is_not_of_standard_webhooks_is_refused_and_not_shown(wrong: str) -> None:
    said = refusal(endpoint("name: ci", "url: https://ci.example", f'secret: "{wrong}"'))
    assert said.startswith(f"{KEY}.secret: must be whsec_ and the base64 of 24 to 64 bytes; make one: echo ")
    assert "hunter2" not in said
    assert len(wrong) < 10 or wrong not in said


@pytest.mark.parametrize("size", [24, 32, 64])
def test_secret_of_24_to_64_bytes_is_taken_and_printed_in_no_form(size: int) -> None:
    configuration = configure(endpoint("name: ci", "url: https://ci.example", f"secret: {secret(size)}"))
    assert configuration.notifications.endpoints[0].secret == secret(size)
    assert "secret: <redacted>\n" in effective(configuration)
    assert secret(size) not in effective(configuration)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("repositories: ['team/**', '/team']", "repositories[1]: '/team' is not a pattern for repositories"),
        ("repositories: ['team**']", "repositories[0]: 'team**': ** must stand alone between slashes; write, for"),
        ("exclude: ['']", "exclude[0]: '' is not a pattern for repositories"),
        ("exclude: ['[a-z]+']", "exclude[0]: '[a-z]+' is not a pattern for repositories"),
        ("repositories: team/**", "repositories: must be a list, not a string"),
        ("batch: 0", "batch: must be at least 1, not 0"),
        ("batch: 1001", "batch: must be at most 1000, not 1001"),
        ("parallel: 0", "parallel: must be at least 1, not 0"),
        ("parallel: 65", "parallel: must be at most 64, not 65"),
        ("threshold: -1", "threshold: must be at least 0, not -1"),
        ("maxage: 72", "maxage: must be a duration such as 1h30m, not 72"),
        ("maxbackoff: -1s", 'maxbackoff: must not be negative: "-1s"'),
        ("format: cloudevent", "format: must be one of docker, cloudevents, not"),
        ('headers: {X-A: ["a\\eb"]}', "headers.X-A: must not hold control characters"),
        ("headers: {X-A: a}", "headers.X-A: must be a list, not a string"),
        ('name: "a\\tb"', "name: must not hold control characters"),
    ],
)
def test_wrong_value_of_an_endpoint_is_refused_with_its_key(line: str, said: str) -> None:
    assert refusal(endpoint("url: https://ci.example", line)).startswith(f"{KEY}.{said}")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("journal: {keep: 24}", "journal.keep: must be a duration such as 1h30m, not 24"),
        ("journal: {maxevents: -1}", "journal.maxevents: must be at least 0, not -1"),
        ("journal: {maxdead: many}", 'journal.maxdead: must be a whole number, not "many"'),
        ("endpoints: https://ci.example", "endpoints: must be a list, not a string; write, for example, endpoints: [{"),
        ("endpoints: {url: 'https://ci.example'}", "endpoints: must be a list, not a mapping"),
    ],
)
def test_wrong_value_of_the_section_is_refused_with_its_key(section: str, said: str) -> None:
    assert refusal(f"notifications:\n  {section}\n").startswith(f"notifications.{said}")


def test_everything_that_is_wrong_is_said_at_once_each_with_its_line() -> None:
    text = SMALLEST + (
        "notifications:\n"
        "  endpoints:\n"
        "  - name: a\n"
        "    url: ftp://a.example\n"
        "    secret: x\n"
        "  - name: a\n"
        "    url: https://b.example\n"
        "    repositories:\n"
        "    - team/**\n"
        "    - '{team}'\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "config.yml", {})
    assert [each.line.split(": ")[:2] for each in caught.value.each] == [
        ["config.yml:6", "notifications.endpoints[0].url"],
        ["config.yml:7", "notifications.endpoints[0].secret"],
        ["config.yml:12", "notifications.endpoints[1].repositories[1]"],
        ["config.yml:8", "notifications.endpoints[1].name"],
    ]


@pytest.mark.parametrize(
    ("line", "warning"),
    [
        (
            "ignore: {actions: [pull, psuh]}",
            "ignore.actions[1]: unknown, known are push, pull, mount, delete: ignored (is push meant?)",
        ),
        (
            "ignore: {actions: [Pull]}",
            "ignore.actions[0]: unknown, known are push, pull, mount, delete: ignored (is pull",
        ),
        ("maxage: 500ms", "maxage: is less than backoff, so nothing is sent again once threshold attempts have failed"),
        ("backoff: 2m", "maxbackoff: is less than backoff, and is the pause from the first one on"),
        ("repositories: ['Team/**']", "repositories[0]: does not match any repository: "),
        ("exclude: ['team/app:v1']", "exclude[0]: does not match any repository: "),
        ("headers: {Authorization: [Bearer hunter2]}", "headers: Authorization goes over the network unencrypted, "),
        ("headers: {X-Api-Key: [hunter2]}", "headers: X-Api-Key goes over the network unencrypted, as url is http "),
        ("headers: {Content-Length: ['5']}", "headers.Content-Length: belongs to a single message or connection, "),
        ("headers: {'a b': ['5']}", "headers.a b: cannot be the name of a header, ignored"),
        ("batchsize: 5", "batchsize: unknown key, ignored (is batch meant?)"),
    ],
)
def test_what_can_hardly_be_meant_is_a_warning(line: str, warning: str) -> None:
    (given,) = configure(endpoint("name: ci", "url: http://ci.example", line)).warnings
    assert given.startswith(f"{KEY}.{warning}")
    assert "hunter2" not in given


def test_password_in_a_url_without_encryption_is_a_warning_without_the_password() -> None:
    (given,) = configure(endpoint("name: ci", "url: http://u:hunter2@ci.example/")).warnings
    assert given.startswith(f"{KEY}.url: its password goes over the network unencrypted")
    assert "hunter2" not in given


@pytest.mark.parametrize("url", ["https://ci.example", "http://localhost:80", "http://127.0.0.2/", "http://[::1]/"])
def test_header_with_a_secret_that_nobody_on_the_way_can_read_is_no_warning(url: str) -> None:
    text = endpoint("name: ci", f"url: '{url}'", "headers: {Authorization: [Bearer x], Accept: [a]}")
    assert configure(text).warnings == ()


def test_endpoint_may_be_given_by_variables_alone() -> None:
    configuration = configure(
        "",
        {
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME": "ci",
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL": "https://ci.example/hook",
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_HEADERS": "{Authorization: [Bearer hunter2]}",
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_REPOSITORIES": "[team/**]",
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_IGNORE_ACTIONS": "[pull]",
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_MAXAGE": "1h",
            "REGISTRY_NOTIFICATIONS_JOURNAL_KEEP": "7d",
        },
    )
    (given,) = configuration.notifications.endpoints
    assert (given.name, given.url, given.maxage_seconds) == ("ci", "https://ci.example/hook", 3600.0)
    assert given.headers == {"Authorization": ("Bearer hunter2",)}
    assert given.repositories == ("team/**",)
    assert given.ignore.actions == ("pull",)
    assert configuration.notifications.journal.keep_seconds == 7 * 24 * 3600.0
    assert "hunter2" not in effective(configuration)


def test_what_is_wrong_in_a_variable_is_said_with_its_name() -> None:
    said = refusal("", {"REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL": "ci.example"})
    assert said.endswith("(set by REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL)")


def test_zero_is_the_default_where_the_go_registry_has_it_so() -> None:
    text = endpoint(
        "url: https://ci.example", "timeout: 0", "threshold: 0", "backoff: 0s", "maxage: 0", "maxbackoff: 0"
    )
    text += "  journal: {keep: 0, maxevents: 0, maxdead: 0}\n"
    configuration = configure(text)
    plain = configure(endpoint("url: https://ci.example"))
    assert configuration.notifications == plain.notifications
