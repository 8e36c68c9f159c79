from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from registry.server.tls.expiry import not_after
from tests.growth import grows_linearly
from tests.server.tls.authority import Authority, of_version_5

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("year", [2031, 2049, 2050, 2120])
def test_the_end_of_a_certificate_is_read_in_both_forms_of_time(tmp_path: Path, year: int) -> None:
    end = datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC)
    pair = Authority.create(tmp_path).issue("one", not_after=end)
    assert not_after(pair.certificate.read_bytes()) == end


def test_of_several_certificates_the_first_counts_wherever_it_is_in_the_file(tmp_path: Path) -> None:
    end = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
    root = Authority.create(tmp_path / "root")
    pair = Authority.create(tmp_path / "intermediate", root).issue("one", not_after=end)
    assert pair.certificate.read_bytes().count(b"BEGIN CERTIFICATE") == 2
    words = "Subject: CN=Gr\u00fc\u00dfe\n".encode("latin-1")
    assert not_after(words + pair.key.read_bytes() + pair.certificate.read_bytes().replace(b"\n", b"\r\n")) == end


def test_what_follows_the_first_certificate_is_not_looked_at(tmp_path: Path) -> None:
    end = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
    pair = Authority.create(tmp_path).issue("one", not_after=end)
    broken = b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n-----BEGIN"
    assert not_after(pair.key.read_bytes() + pair.certificate.read_bytes() + broken) == end


def test_a_version_that_does_not_exist_is_a_value_error(tmp_path: Path) -> None:
    pair = Authority.create(tmp_path).issue("one")
    with pytest.raises(ValueError, match="5"):
        not_after(of_version_5(pair.certificate.read_bytes()))


def test_a_certificate_with_openssls_own_trust_settings_is_not_passed_over(tmp_path: Path) -> None:
    pair = Authority.create(tmp_path).issue("one")
    content = pair.certificate.read_bytes()
    trusted = content.replace(b" CERTIFICATE-", b" TRUSTED CERTIFICATE-")
    with pytest.raises(ValueError):
        not_after(trusted + content)


@pytest.mark.parametrize("content", [b"", b"\x30", b"\x30\x03\x02\x01\x00", b"no certificate at all"])
def test_what_is_no_certificate_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError):
        not_after(content)
    block = b"-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n"
    for inner in (content, b"MA==", b"MAMCAQA="):
        with pytest.raises(ValueError):
            not_after(block % inner)


def test_a_file_of_many_beginnings_and_no_end_is_read_in_linear_time() -> None:
    def read(content: bytes) -> None:
        with pytest.raises(ValueError, match="there is no certificate"):
            not_after(content)

    assert grows_linearly(read, lambda size: b"-----BEGIN CERTIFICATE-----\n" * size, 500)


def test_a_server_without_tls_does_not_load_what_reads_certificates() -> None:
    program = (
        "import sys, registry.server.master;"
        "from registry.config.values import TLS; from registry.server.tls import serving;"
        "assert serving.load(TLS()) is None; assert 'cryptography' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", program], check=True)
