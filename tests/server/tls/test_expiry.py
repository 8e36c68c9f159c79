from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from registry.server.tls.expiry import not_after
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("year", [2031, 2049, 2050, 2120])
def test_the_end_of_a_certificate_is_read_in_both_forms_of_time(tmp_path: Path, year: int) -> None:
    end = datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC)
    pair = Authority.create(tmp_path).issue("one", not_after=end)
    der = ssl.PEM_cert_to_DER_cert(pair.certificate.read_text().partition("-----END")[0] + "-----END CERTIFICATE-----")
    assert not_after(der) == end


@pytest.mark.parametrize("content", [b"", b"\x30", b"\x30\x03\x02\x01\x00", b"no certificate at all"])
def test_what_is_no_certificate_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError):
        not_after(content)
