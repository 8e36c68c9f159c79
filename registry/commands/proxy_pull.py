"""What ``registry proxy pull`` does."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from drivers.base import DriverError
from registry.commands.ownership import as_owner
from registry.commands.progress import Count, StatusLine
from registry.foundation.sizes import spelled
from registry.oci.errors import RegistryError
from registry.oci.reference import parse_name, parse_reference
from registry.ports import Nobody
from registry.proxy.images import fetch_image
from registry.proxy.prefetch import split_image
from registry.services import build_services

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.config import Configuration
    from registry.proxy.images import Wanted, Whole
    from registry.services import Services


class _LocalError(Exception):
    """It is the name of a repository that is not cached."""


def pull(configuration: Configuration, references: Sequence[str], wanted: Wanted, *, in_json: bool) -> bool:
    """Fetch each image and say what it consists of; tell whether all could be fetched."""
    told = []
    well = True
    with as_owner(configuration.storage), closing(build_services(configuration)) as services, StatusLine() as line:
        for reference in references:
            count = Count(line, f"{reference}: bytes of")
            try:
                whole = _fetch(services, reference, wanted, count)
            except (RegistryError, DriverError, _LocalError) as error:
                well = False
                reason = error.message if isinstance(error, RegistryError) else str(error)
                line.clear()
                click.echo(f"Error: {reference}: {reason}", err=True)
                continue
            told.append({"image": reference} | asdict(whole))
            if not in_json:
                line.clear()
                what = f"{whole.manifests} manifests, {whole.blobs} blobs, {spelled(whole.fetched)} fetched"
                click.echo(f"{reference}: {what}")
    if in_json:
        click.echo(json.dumps(told))
    return well


def _fetch(services: Services, image: str, wanted: Wanted, count: Count) -> Whole:
    name, reference = split_image(image)
    proxied = services.proxied
    if proxied is None:
        raise _LocalError("nothing is cached")
    place = proxied.place(parse_name(name), "", "", pushes=False)
    if not place.upstream:
        raise _LocalError("it belongs to no upstream: give the name that it has here, which begins with a prefix")
    repository, kept = proxied.open(place, Nobody()), services.repositories.open(place.name)
    return fetch_image(repository, kept, parse_reference(reference), wanted, lambda _size, what: count.add(what))
