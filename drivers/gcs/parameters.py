"""The section ``storage.gcs`` of the configuration."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from drivers.calls.waits import Limits
from registry.foundation.errors import ParameterError
from registry.foundation.files import read_file
from registry.foundation.parameters import Parameters
from registry.foundation.unreadable import reason_unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

CHUNK_STEP: Final = 256 * 1024
DEFAULT_CHUNK: Final = 8 * 1024 * 1024
_DEFAULT_CONCURRENCY = 50
_LEAST_CONCURRENCY = 25
_ATTEMPTS: Final = 7
"""More than of other stores: the service takes one write a second to one name, and refuses others with 429."""
_BUCKET: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class GcsParameters:
    """What the section says; `account` is a service account's key, {} for the default credentials."""

    bucket: str
    rootdirectory: str = ""
    account: Mapping[str, Any] = field(default_factory=dict, repr=False)
    account_origin: str = ""
    chunksize: int = DEFAULT_CHUNK
    maxconcurrency: int = _DEFAULT_CONCURRENCY
    useragent: str = ""
    endpoint: str = ""
    redirectendpoint: str = ""
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def read(cls, values: Mapping[str, object]) -> GcsParameters:
        """Return the parameters.

        Raises:
            ParameterError: one is missing or wrong.
        """
        parameters = Parameters(values)
        chunksize = parameters.whole("chunksize", DEFAULT_CHUNK, minimum=CHUNK_STEP)
        if chunksize % CHUNK_STEP:
            raise parameters.error("chunksize", f"must be a multiple of {CHUNK_STEP}, not {chunksize}")
        bucket = parameters.matching("bucket", _BUCKET, "the name of a bucket")
        keyfile = parameters.text("keyfile")
        credentials = parameters.mapping("credentials")
        account = _key_of(keyfile) if keyfile else credentials
        return cls(
            bucket=bucket,
            rootdirectory=parameters.text("rootdirectory"),
            account=account,
            account_origin=("keyfile" if keyfile else "credentials") if account else "",
            chunksize=chunksize,
            maxconcurrency=max(
                parameters.whole("maxconcurrency", _DEFAULT_CONCURRENCY, minimum=0),
                _LEAST_CONCURRENCY,
            ),
            useragent=parameters.text("useragent"),
            endpoint=parameters.url("endpoint"),
            redirectendpoint=parameters.origin("redirectendpoint"),
            limits=replace(Limits.parse(parameters), attempts=_ATTEMPTS),
        )


def _key_of(keyfile: str) -> Mapping[str, Any]:
    try:
        key = json.loads(read_file(keyfile))
    except OSError as error:
        raise ParameterError(f"keyfile: cannot read {keyfile}: {reason_unreadable(error, keyfile)}") from error
    except ValueError as error:
        raise ParameterError(f"keyfile: {keyfile} is not JSON: {error}") from error
    if not isinstance(key, dict):
        raise ParameterError(f"keyfile: {keyfile} is not a service account's key")
    return key
