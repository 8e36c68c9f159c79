from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from drivers.azure.parameters import AzureParameters
from drivers.calls.waits import Limits
from drivers.gcs.parameters import GcsParameters
from registry.foundation.errors import ParameterError

if TYPE_CHECKING:
    from pathlib import Path

AZURE = {"accountname": "acc", "container": "images"}
LOGIN = {"type": "client_secret", "clientid": "c", "tenantid": "t", "secret": "s"}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, r"^bucket: is missing$"),
        ({"bucket": ""}, r"^bucket: is missing$"),
        ({"bucket": ["x"]}, r"^bucket: must be text"),
        ({"bucket": "b", "chunksize": 1024}, r"^chunksize: must be a whole number of at least 262144, not 1024$"),
        ({"bucket": "b", "chunksize": "a lot"}, r"^chunksize: must be a whole number"),
        ({"bucket": "b", "chunksize": 300_000}, r"^chunksize: must be a multiple of 262144, not 300000$"),
        ({"bucket": "b", "maxconcurrency": True}, r"^maxconcurrency: must be a whole number"),
        ({"bucket": "b", "keyfile": "/nowhere"}, r"^keyfile: cannot read /nowhere: No such file or directory$"),
        ({"bucket": "b", "redirectendpoint": "https://a/b"}, r"^redirectendpoint: must be http.* without a path"),
        ({"bucket": "B b"}, r"^bucket: must be the name of a bucket, not 'B b'$"),
        ({"bucket": "b", "endpoint": "foo bar"}, r"^endpoint: must be http.*, not 'foo bar'$"),
        ({"bucket": "b", "calltimeout": "500ms"}, r"^calltimeout: must be at least 1s, not 500ms$"),
        ({"bucket": "b", "credentials": "x"}, r"^credentials: must be a section of values, not str$"),
    ],
)
def test_a_wrong_value_of_gcs_is_named(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        GcsParameters.read(section)


def test_gcs_takes_a_key_from_a_file_or_as_it_stands(tmp_path: Path) -> None:
    key = {"type": "service_account", "client_email": "a@b"}
    keyfile = tmp_path / "key.json"
    keyfile.write_text(json.dumps(key))

    from_file = GcsParameters.read({"bucket": "b", "keyfile": str(keyfile)})
    inline = GcsParameters.read({"bucket": "b", "credentials": key})

    assert from_file.account == inline.account == key
    assert "client_email" not in repr(inline)


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_keyfile_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    keyfile = tmp_path / "key.json"
    keyfile.write_text(content)

    with pytest.raises(ParameterError, match=r"^keyfile: .*key.json is"):
        GcsParameters.read({"bucket": "b", "keyfile": str(keyfile)})


def test_gcs_has_the_floor_of_the_go_registry_for_its_concurrency() -> None:
    assert GcsParameters.read({"bucket": "b", "maxconcurrency": "3"}).maxconcurrency == 25
    assert GcsParameters.read({"bucket": "b", "maxconcurrency": "300"}).maxconcurrency == 300


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"container": "c"}, r"^accountname: is missing$"),
        ({"accountname": "a", "accountkey": "a2V5"}, r"^container: is missing$"),
        (AZURE, r"^credentials.type: must be one of shared_key, client_secret, default_credentials, sas, not ''$"),
        (AZURE | {"credentials": {"type": "magic"}}, r"^credentials.type: must be one of .*, not 'magic'$"),
        (AZURE | {"credentials": {"type": "shared_key"}}, r"^accountkey: is missing$"),
        (AZURE | {"credentials": LOGIN | {"secret": ""}}, r"^credentials.secret: is missing$"),
        (AZURE | {"credentials": {"type": "sas"}}, r"^credentials.sastoken: is missing$"),
        (
            AZURE | {"accountkey": "a2V5", "retry_delay": "soon"},
            r"^retry_delay: must be a duration like .*, not 'soon'$",
        ),
        (AZURE | {"accountkey": "a2V5", "max_retries": -2}, r"^max_retries: must be a whole number of at least -1"),
        (AZURE | {"accountkey": "a2V5", "redirectendpoint": "a.example"}, r"^redirectendpoint: must be http"),
        (AZURE | {"accountname": "a b"}, r"^accountname: must be .*, not 'a b'$"),
        (AZURE | {"container": "C C"}, r"^container: must be .*, not 'C C'$"),
        (AZURE | {"realm": "x y"}, r"^realm: must be HOST\[:PORT\], not 'x y'$"),
        (AZURE | {"accountkey": "a2V5", "serviceurl": "foo bar"}, r"^serviceurl: must be http.*, not 'foo bar'$"),
        (AZURE | {"accountkey": "not base64"}, r"^accountkey: must be a key of the account in base64"),
        (AZURE | {"accountkey": "a2V5", "calltimeout": "500ms"}, r"^calltimeout: must be at least 1s, not 500ms$"),
        (
            AZURE | {"serviceurl": "http://a.example", "credentials": LOGIN},
            r"^serviceurl: must be https with .*client_secret",
        ),
        (AZURE | {"accountkey": "a2V5", "skipverify": "maybe"}, r"^skipverify: must be true or false, not 'maybe'$"),
    ],
)
def test_a_wrong_value_of_azure_is_named(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        AzureParameters.read(section)


def test_an_account_key_alone_is_what_registry_2_knows() -> None:
    found = AzureParameters.read(AZURE | {"accountkey": "a2V5", "realm": "core.chinacloudapi.cn"})

    assert found.type == "shared_key"
    assert found.serviceurl == "https://acc.blob.core.chinacloudapi.cn"
    assert "a2V5" not in repr(found)


def test_a_service_url_takes_the_place_of_account_and_realm() -> None:
    found = AzureParameters.read(AZURE | {"accountkey": "a2V5", "serviceurl": "http://store:10000/acc/"})

    assert found.serviceurl == "http://store:10000/acc"


def test_a_login_of_azure_is_read() -> None:
    found = AzureParameters.read(AZURE | {"accountkey": "unused", "credentials": LOGIN})

    assert (found.type, found.clientid, found.tenantid, found.secret) == ("client_secret", "c", "t", "s")
    assert found.accountkey == ""


def test_a_retry_count_that_loses_blobs_means_the_default() -> None:
    found = AzureParameters.read(AZURE | {"accountkey": "a2V5", "max_retries": "-1", "retry_delay": "1.5s"})

    assert (found.max_retries, found.retry_delay_seconds) == (5, 1.5)


def test_a_call_of_azure_ends_in_half_a_minute_unless_told_otherwise() -> None:
    key = AZURE | {"accountkey": "a2V5"}

    assert AzureParameters.read(key).limits == Limits(attempts=6, seconds=30)
    assert AzureParameters.read(key | {"max_retries": 0, "calltimeout": "2m"}).limits == Limits(attempts=1, seconds=120)
