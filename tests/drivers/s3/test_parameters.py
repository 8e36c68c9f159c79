from __future__ import annotations

import pytest

from registry.foundation.errors import ParameterError
from registry.plugins import PluginError, load_driver

pytest.importorskip("boto3", reason="the s3 extra is not installed")

from botocore.utils import parse_timestamp

from drivers.s3.parameters import Parameters, parse, parse_time

LEAST = {"bucket": "images", "region": "eu-central-1"}


def test_a_bucket_and_a_region_are_enough() -> None:
    assert parse(LEAST) == Parameters(bucket="images", region="eu-central-1")


def test_every_parameter_of_the_go_registry_is_known() -> None:
    parsed = parse(
        {
            "accesskey": "key",
            "secretkey": "secret",
            "region": "us-west-2",
            "regionendpoint": "https://s3.example.com:9000",
            "redirectendpoint": "https://images.example.com/",
            "forcepathstyle": "true",
            "bucket": "images",
            "encrypt": True,
            "keyid": "k",
            "secure": "false",
            "skipverify": "1",
            "v4auth": False,
            "chunksize": "10485760",
            "multipartcopychunksize": 33554432,
            "multipartcopymaxconcurrency": 7,
            "multipartcopythresholdsize": 0,
            "rootdirectory": "/a/b/",
            "storageclass": "standard_ia",
            "objectacl": "bucket-owner-full-control",
            "useragent": "mine",
            "usedualstack": False,
            "accelerate": "f",
            "usefipsendpoint": False,
            "loglevel": False,
        }
    )

    assert parsed == Parameters(
        bucket="images",
        root="a/b",
        region="us-west-2",
        endpoint="https://s3.example.com:9000",
        redirect_endpoint="https://images.example.com",
        access_key="key",
        secret_key="secret",
        path_style=True,
        secure=False,
        verify=False,
        v4_signatures=False,
        user_agent="mine",
        part_size=10 * 1024 * 1024,
        copies_at_once=7,
        encrypt=True,
        key_id="k",
        storage_class="STANDARD_IA",
        acl="bucket-owner-full-control",
    )
    assert "secret" not in repr(parsed).replace("secret_key", "")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bucket": ""}, "^bucket: is required"),
        ({"region": None}, "^region: is required"),
        (
            {"chunksize": 5 * 1024 * 1024 - 1},
            "^chunksize: must be a whole number between 5242880 and 5368709120, not",
        ),
        ({"chunksize": "10MB"}, "^chunksize: must be a whole number"),
        ({"chunksize": True}, "^chunksize: must be a whole number"),
        ({"multipartcopythresholdsize": -1}, "^multipartcopythresholdsize: must be a whole number between"),
        ({"multipartcopymaxconcurrency": 0}, "^multipartcopymaxconcurrency: must be a whole number of at least 1"),
        ({"secure": "yes"}, "^secure: must be true or false"),
        ({"encrypt": 2}, "^encrypt: must be true or false"),
        ({"storageclass": "GLACIER"}, "^storageclass: must be one of NONE, STANDARD"),
        ({"objectacl": "mine"}, "^objectacl: must be one of private"),
        ({"loglevel": "loud"}, "^loglevel: must be one of off"),
        ({"accesskey": "a"}, "^accesskey, secretkey: give both"),
        ({"v4auth": False}, "^v4auth: false is only"),
        ({"redirectendpoint": "https://a/b"}, "^redirectendpoint: must be http"),
        ({"regionendpoint": "not a url"}, "^regionendpoint: must be http.*, not 'not a url'$"),
        ({"regionendpoint": "http://"}, "^regionendpoint: must be http"),
        ({"regionendpoint": "https://[::1"}, "^regionendpoint: must be http"),
        ({"regionendpoint": "minio server:9000"}, "^regionendpoint: must be http"),
        ({"bucket": "a b"}, "^bucket: must be the name of a bucket, not 'a b'$"),
        ({"bucket": ["b"]}, "^bucket: must be text"),
    ],
)
def test_what_is_wrong_is_named(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        parse(LEAST | wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"region": "us east/1"}, r"^storage\.s3: region: must be the name of a region.*, not 'us east/1'$"),
        ({"regionendpoint": "minio_1:9000"}, r"^storage\.s3: regionendpoint: 'https://minio_1:9000' is not taken"),
        ({"redirectendpoint": "http://minio_1"}, r"^storage\.s3: redirectendpoint: 'http://minio_1' is not taken"),
    ],
)
def test_what_the_sdk_refuses_is_named(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(PluginError, match=message):
        load_driver("s3", LEAST | wrong)


@pytest.mark.parametrize(("secure", "url"), [(True, "https://minio:9000"), (False, "http://minio:9000")])
def test_an_endpoint_without_a_scheme_has_that_of_secure(secure: bool, url: str) -> None:
    assert parse(LEAST | {"regionendpoint": "minio:9000/", "secure": secure}).endpoint == url


@pytest.mark.parametrize("name", ["s3", "s3aws"])
def test_the_driver_is_found_by_either_name_and_says_what_is_wrong(name: str) -> None:
    assert load_driver(name, LEAST).name == "s3aws"
    with pytest.raises(PluginError, match=rf"^storage\.{name}: bucket: is required"):
        load_driver(name, {})


@pytest.mark.parametrize(
    ("more", "final", "staged"),
    [
        ({}, {}, {}),
        ({"encrypt": True}, {"ServerSideEncryption": "AES256"}, {"ServerSideEncryption": "AES256"}),
        (
            {"encrypt": True, "keyid": "k"},
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"},
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"},
        ),
        ({"storageclass": "STANDARD_IA", "objectacl": "public-read"},
         {"StorageClass": "STANDARD_IA", "ACL": "public-read"}, {}),
        ({"storageclass": "EXPRESS_ONEZONE"}, {"StorageClass": "EXPRESS_ONEZONE"}, {"StorageClass": "EXPRESS_ONEZONE"}),
        ({"storageclass": "NONE"}, {}, {}),
    ],
)  # fmt: skip
def test_an_upload_pays_for_no_class_that_bills_by_the_month(
    more: dict[str, object], final: dict[str, str], staged: dict[str, str]
) -> None:
    parsed = parse(LEAST | more)

    content_type = {"ContentType": "application/octet-stream"}
    assert parsed.final_options == content_type | final
    assert parsed.staged_options == content_type | staged


@pytest.mark.parametrize(
    ("more", "url"),
    [
        ({}, "https://images.s3.eu-central-1.amazonaws.com/k?"),
        ({"forcepathstyle": True}, "https://s3.eu-central-1.amazonaws.com/images/k?"),
        ({"usedualstack": True}, "https://images.s3.dualstack.eu-central-1.amazonaws.com/k?"),
        ({"accelerate": True}, "https://images.s3-accelerate.amazonaws.com/k?"),
        ({"regionendpoint": "store:9000"}, "https://store:9000/images/k?"),
        ({"regionendpoint": "store:9000", "secure": False}, "http://store:9000/images/k?"),
        ({"regionendpoint": "http://store.example.com", "forcepathstyle": False}, "http://images.store.example.com/k?"),
        ({"bucket": "dotted.images"}, "https://s3.eu-central-1.amazonaws.com/dotted.images/k?"),
    ],
)
def test_a_url_is_signed_for_the_endpoint_that_was_named(more: dict[str, object], url: str) -> None:
    parsed = parse(LEAST | {"accesskey": "a", "secretkey": "s"} | more)

    assert (
        parsed.client()
        .generate_presigned_url("get_object", Params={"Bucket": parsed.bucket, "Key": "k"})
        .startswith(url)
    )


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-27T08:09:10.000Z",
        "2026-11-27T08:09:10.123Z",
        "2026-11-27T08:09:10Z",
        "2026-11-27T08:09:10.123456789Z",
        "20261127T080910Z",
        "2026-11-27T10:09:10+02:00",
        "Fri, 27 Nov 2026 08:09:10 GMT",
    ],
)
def test_times_are_understood_as_the_sdk_does(text: str) -> None:
    assert parse_time(text) == parse_timestamp(text)


@pytest.mark.parametrize("text", ["", "Z", "todayZ", "2026-99-99T00:00:00Z"])
def test_what_is_not_a_time_for_the_sdk_is_none_here(text: str) -> None:
    with pytest.raises(ValueError, match="timestamp"):
        parse_time(text)
