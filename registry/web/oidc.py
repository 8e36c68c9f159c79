"""Logging in at another server: the browser is sent there, and comes back to the same path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import Blueprint, request
from werkzeug.exceptions import NotFound

from auth.base import ControllerError, UnauthorizedError
from registry.handlers.context import AccessRequest
from registry.handlers.current import services
from registry.handlers.errors import answer
from registry.web.cookies import DEPARTURE
from registry.web.departures import DEPARTED_SECONDS, Journey
from registry.web.login import absolute, logged_in, login_form, own_target
from registry.web.page import page, redirect
from registry.web.site import site

if TYPE_CHECKING:
    from auth.base import Provider
    from registry.handlers.response import Response

blueprint = Blueprint("web_oidc", __name__)

_SERVICE_UNAVAILABLE: Final = 503


@blueprint.get("/_oidc/<provider>")
@page
def visit_provider(provider: str) -> Response:
    """Send the browser to a provider, or let in who has come back from it."""
    found = _provider(provider)
    return _returned(found) if "state" in request.args else _sent(found)


def _sent(provider: Provider) -> Response:
    target = own_target(request.args.get("next", ""))
    try:
        departure = provider.begin(AccessRequest(), _callback(provider))
    except ControllerError as error:
        return _out_of_order(provider, error, target)
    response = redirect(departure.url)
    DEPARTURE.set(response, site().departures.write(Journey(provider.name, departure, target)), DEPARTED_SECONDS)
    return response


def _returned(provider: Provider) -> Response:
    journey = site().departures.read(DEPARTURE.read())
    if journey is None or journey.provider != provider.name:
        message = f"Logging in with {provider.label} took too long, or was begun elsewhere. Please try again."
        response = login_form(own_target(""), message=message, code=400)
    else:
        response = _let_in(provider, journey)
    DEPARTURE.clear(response)
    return response


def _let_in(provider: Provider, journey: Journey) -> Response:
    target = own_target(journey.target)
    try:
        grant = provider.complete(AccessRequest(), journey.departure, _callback(provider), request.args.to_dict())
    except UnauthorizedError as error:
        told = answer(error, services())
        message = f"You cannot log in here with {provider.label}. The log of the registry says why."
        response = login_form(target, message=message, code=told.status_code)
        response.errors = told.errors
        return response
    except ControllerError as error:
        return _out_of_order(provider, error, target)
    return logged_in(grant, target)


def _out_of_order(provider: Provider, error: ControllerError, target: str) -> Response:
    told = answer(error, services())
    message = f"{provider.label} does not answer as it should. Please try again later, or log in otherwise."
    response = login_form(target, message=message, code=_SERVICE_UNAVAILABLE)
    response.errors = told.errors
    return response


def _callback(provider: Provider) -> str:
    """Return the URL of this page as the provider has to know it."""
    return absolute(site().links.oidc(provider.name))


def _provider(name: str) -> Provider:
    sign_in = services().access.sign_in
    found = [each for each in sign_in.providers if each.name == name] if sign_in else []
    if not found:
        raise NotFound
    return found[0]
