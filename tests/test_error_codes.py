from __future__ import annotations

import errno
import inspect
import json
import subprocess
import sys

import pytest

import drivers.base
from registry import error_codes
from registry.oci import errors

TOLD_ONE_BY_ONE = {errors.RegistryError, errors.ManifestDependenciesError, errors.UpstreamError}
WORDS = [
    each
    for _, each in inspect.getmembers(errors, inspect.isclass)
    if issubclass(each, errors.RegistryError) and each not in TOLD_ONE_BY_ONE
]


@pytest.mark.parametrize("word", WORDS)
def test_every_word_of_the_registry_has_a_code_and_a_status_of_a_client_error(word: type[errors.RegistryError]) -> None:
    code, status = error_codes.CODES[word]

    assert code != error_codes.UNKNOWN
    assert 400 <= status < 500 or (issubclass(word, errors.UpstreamError | errors.BusyError) and 502 <= status <= 504)


def test_the_code_is_that_of_the_nearest_class() -> None:
    class FullDiskError(drivers.base.NoSpaceError):
        pass

    assert error_codes.code_of(FullDiskError("")) == ("UNAVAILABLE", 507)
    assert error_codes.code_of(errors.ManifestTooLargeError("")) == ("MANIFEST_INVALID", 413)
    assert error_codes.code_of(ZeroDivisionError()) == ("UNKNOWN", 500)


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), TimeoutError(), MemoryError()])
def test_what_the_machine_has_no_more_of_may_be_asked_for_later(error: Exception) -> None:
    assert error_codes.code_of(error) == ("UNAVAILABLE", 503)
    assert isinstance(error, error_codes.FAULTS)


def test_a_client_is_told_what_the_storage_cannot_do_and_not_where_it_is() -> None:
    for error, message in (
        (drivers.base.NoSpaceError("/a"), "the storage of this registry is full"),
        (drivers.base.NotWritableError("/a"), "the storage of this registry cannot be written to"),
        (drivers.base.NotPermittedError("/a"), "the storage of this registry could not do it"),
        (OSError("/a"), "this registry could not do it"),
    ):
        assert error_codes.message_of(error) == message
        assert error_codes.code_of(error)[1] in {503, 507}


def test_an_error_without_detail_has_none() -> None:
    assert json.loads(error_codes.error_body("DENIED", "no")) == {"errors": [{"code": "DENIED", "message": "no"}]}
    assert json.loads(error_codes.error_body("DENIED", "no", {"a": 1}))["errors"][0]["detail"] == {"a": 1}


def test_what_answers_before_the_application_needs_no_flask() -> None:
    script = (
        "import sys, registry.health.gate, registry.server.refusal;"
        "print(sorted({'flask', 'werkzeug'} & sys.modules.keys()))"
    )

    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert printed.stdout == "[]\n"
