from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.oci.errors import BlobUploadInvalidError
from registry.oci.uploads import DigestState, UploadState
from registry.storage.tokens import UploadTokens

SECRET = b"a secret"
ID = "5a7d3c1e-0f6b-4a52-9d6e-2b1c3d4e5f60"
STATE = UploadState("team/app", ID, 42, "2026-11-23T07:29:48Z")
GO_FIELDS = {"Name": "team/app", "UUID": ID, "Offset": 42, "StartedAt": "2026-11-23T07:29:48.880963429Z"}
GOLDEN = (
    "iUVCaq9SWLrr86Zz0xT9vbjQDNs3k9JO211eOUfXkWN7Ik5hbWUiOiJ0ZWFtL2FwcCIsIlVVSUQiOiI1YTdkM2MxZS0wZjZiLTRh"
    "NTItOWQ2ZS0yYjFjM2Q0ZTVmNjAiLCJPZmZzZXQiOjQyLCJTdGFydGVkQXQiOiIyMDI2LTExLTIzVDA3OjI5OjQ4WiJ9"
)


def signed(message: bytes, secret: bytes = SECRET) -> str:
    """Sign as the Go registry does, with nothing of ours."""
    return base64.urlsafe_b64encode(hmac.new(secret, message, hashlib.sha256).digest() + message).decode()


def go_token(**fields: object) -> str:
    return signed(json.dumps({**GO_FIELDS, **fields}, separators=(",", ":")).encode())


def load(token: str, name: str = "team/app", upload_id: str = ID) -> UploadState:
    return UploadTokens(SECRET).load(token, name=name, upload_id=upload_id)


@given(
    st.integers(0, 2**63),
    st.none() | st.builds(DigestState, st.sampled_from(["sha256", "sha512"]), st.binary(min_size=1)),
    st.text(max_size=50),
)
def test_a_token_reads_back(offset: int, digest_state: DigestState | None, checkpoint: str) -> None:
    state = replace(STATE, offset=offset, digest_state=digest_state, checkpoint=checkpoint)

    assert load(UploadTokens(SECRET).sign(state)) == state


def test_without_our_fields_a_token_is_the_go_registry_s_to_the_byte() -> None:
    token = UploadTokens(SECRET).sign(STATE)

    assert token == signed(
        f'{{"Name":"team/app","UUID":"{ID}","Offset":42,"StartedAt":"2026-11-23T07:29:48Z"}}'.encode(),
    )
    assert token == GOLDEN


def test_our_fields_come_after_the_go_registry_s() -> None:
    state = replace(STATE, digest_state=DigestState("sha256", b"\xff\xfe"), checkpoint="etag-1")

    message = base64.urlsafe_b64decode(UploadTokens(SECRET).sign(state))[32:]

    assert list(json.loads(message)) == ["Name", "UUID", "Offset", "StartedAt", "DigestState", "Checkpoint"]
    assert json.loads(message)["DigestState"] == "sha256://4="


def test_a_token_of_the_go_registry_is_taken() -> None:
    assert load(go_token()) == replace(STATE, started_at="2026-11-23T07:29:48.880963429Z")


def test_fields_that_nobody_here_knows_are_ignored() -> None:
    assert load(go_token(Later=[1, 2])).offset == 42


def test_an_id_tells_who_has_begun_the_session_and_nothing_else_does() -> None:
    ours, theirs = UploadTokens(b"ours"), UploadTokens(b"theirs")
    upload_id = ours.new_id("team/app", "user alice")
    assert (uuid.UUID(upload_id).version, uuid.UUID(upload_id).variant) == (4, uuid.RFC_4122)
    assert str(uuid.UUID(upload_id)) == upload_id
    assert UploadTokens(b"ours").has_begun("user alice", name="team/app", upload_id=upload_id)
    assert ours.has_begun("user alice", name="team/app", upload_id=upload_id.upper())
    for owner, name in (("user bob", "team/app"), ("user alice", "team/other"), ("user alice\0", "team/app"), ("", "")):
        assert not ours.has_begun(owner, name=name, upload_id=upload_id)
    assert not theirs.has_begun("user alice", name="team/app", upload_id=upload_id)
    for bit in range(128):
        changed = str(uuid.UUID(int=uuid.UUID(upload_id).int ^ (1 << bit)))
        assert not ours.has_begun("user alice", name="team/app", upload_id=changed)


def test_no_two_sessions_have_one_id() -> None:
    tokens = UploadTokens(b"ours")
    assert len({tokens.new_id("team/app", "user alice") for _ in range(5000)}) == 5000


def test_a_hash_state_of_an_unknown_algorithm_is_left_out() -> None:
    assert load(go_token(DigestState="blake3:AAAA")).digest_state is None


@pytest.mark.parametrize(
    "token",
    [
        "",
        "=",
        "a",
        "!!!!",
        "\u00e9",
        "\ud800",
        GOLDEN[:-4],
        GOLDEN[:43],
        GOLDEN[4:],
        GOLDEN + "AAAA",
        GOLDEN[:-1] + "A",
        "A" + GOLDEN[1:],
        " " + GOLDEN,
        GOLDEN + "\n",
        GOLDEN[:8] + "\n" + GOLDEN[8:],
        "A" * 64,
        "A" * 100_000,
        signed(b"{}", b""),
        signed(json.dumps(GO_FIELDS).encode(), b"another secret"),
        base64.urlsafe_b64encode(bytes(32) + json.dumps(GO_FIELDS).encode()).decode(),
        base64.urlsafe_b64encode(json.dumps(GO_FIELDS).encode()).decode(),
    ],
    ids=lambda token: repr(token[:12]),
)
def test_what_was_not_signed_with_our_secret_is_refused(token: str) -> None:
    with pytest.raises(BlobUploadInvalidError):
        load(token)


@given(st.integers(0, 2000), st.integers(1, 255))
def test_not_one_bit_of_a_token_may_change(position: int, change: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(GOLDEN))
    raw[position % len(raw)] ^= change

    with pytest.raises(BlobUploadInvalidError):
        load(base64.urlsafe_b64encode(raw).decode())


@pytest.mark.parametrize(
    ("name", "upload_id"),
    [("team/other", ID), ("team", ID), ("team/app", ID.replace("5", "6")), ("team/app", ID.upper()), ("", "")],
)
def test_a_token_is_good_for_its_own_upload_only(name: str, upload_id: str) -> None:
    with pytest.raises(BlobUploadInvalidError, match="belongs to another upload"):
        load(GOLDEN, name, upload_id)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"x",
        b"null",
        b"[]",
        b"42",
        b'"text"',
        b"{}",
        b'{"Name": "team/app"}',
        b"\xff",
        json.dumps({**GO_FIELDS, "DigestState": 5}).encode(),
        json.dumps({**GO_FIELDS, "DigestState": "sha256:\u00e9"}).encode(),
        json.dumps({**GO_FIELDS, "DigestState": "sha256:AAA"}).encode(),
    ],
    ids=lambda message: repr(message[:20]),
)
def test_something_else_that_was_signed_with_our_secret_is_refused(message: bytes) -> None:
    with pytest.raises(BlobUploadInvalidError):
        load(signed(message))


def test_the_longest_name_and_hash_state_make_a_token_that_is_taken() -> None:
    state = replace(STATE, name="a" * 255, offset=2**63, digest_state=DigestState("sha512", bytes(204)))

    token = UploadTokens(SECRET).sign(replace(state, checkpoint="c" * 128))

    assert load(token, "a" * 255).offset == 2**63
