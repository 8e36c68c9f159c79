"""``proxy`` and ``proxies``: the upstreams that they name, and what is wrong with what somebody says of them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from registry.config.errors import ConfigurationError, Findings
from registry.config.upstreams import Helper, Upstream, UpstreamAuth, UpstreamCache, UpstreamTLS
from registry.foundation import addresses
from registry.foundation.globs import Glob
from registry.foundation.registry_url import parse_registry_url
from registry.oci.errors import DigestInvalidError, TagInvalidError
from registry.oci.reference import MAX_NAME_LENGTH, is_component, is_name, is_platform, parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.config.remote import Proxy
    from registry.config.values import Configuration

_CLASSIC: Final = "proxy"
"""What the upstream of the section ``proxy`` is called."""
_LONGEST_NAME: Final = 64
_LONGEST_PREFIX: Final = 128
_HOST: Final = re.compile(r"(?!-)[a-z0-9-]+(?:\.[a-z0-9-]+)*\.?")
_SCHEMES: Final = ("http", "https")


def upstreams_of(configuration: Configuration) -> tuple[Upstream, ...]:
    """Return the registries that this one caches, as all but the configuration itself wants them.

    That of ``proxy`` is one of them, which has every name. A `prefix` that is not given is the name, and `remoteurl`
    has neither "/" nor "/v2" at its end.
    """
    if configuration.proxy.remoteurl:
        return (_classic(configuration.proxy),)
    plain = ((each, _without_api(urlsplit(each.remoteurl))) for each in configuration.proxies)
    return tuple(replace(each, prefix=each.prefix or each.name, remoteurl=url) for each, url in plain)


def _classic(section: Proxy) -> Upstream:
    """Return the upstream of ``proxy``, which behaves as that of the Go registry does.

    So a tag is looked for at each request, also one that was not there, and what upstream has deleted is served.
    """
    parts = urlsplit(section.remoteurl)
    # As Go's client does: what the URL says counts where nothing else is said.
    username, password = section.username, section.password
    if not (username or password):
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
    auth = UpstreamAuth(username, password)
    if section.exec.command:
        auth = UpstreamAuth(exec=Helper(section.exec.command, section.exec.lifetime_seconds))
    return Upstream(
        name=_CLASSIC,
        remoteurl=_without_api(parts._replace(netloc=parts.netloc.rpartition("@")[2])),
        auth=auth,
        cache=UpstreamCache(
            freshness_seconds=0.0, negative_seconds=0.0, deleted="serve", ttl_seconds=max(section.ttl_seconds, 0.0)
        ),
        classic=True,
    )


def _without_api(parts: SplitResult) -> str:
    """Return the URL of the registry, below which ``/v2/`` lies."""
    path = parts.path.rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, path.removesuffix("/v2").rstrip("/"), "", ""))


def refuse_wrong_proxied(configuration: Configuration) -> None:
    """Return if it is clear which upstream has which names, and how each is reached.

    Raises:
        ConfigurationError: it is not. No URL is shown, as it may hold a secret.
    """
    findings = Findings()
    proxy, entries = configuration.proxy, configuration.proxies
    if proxy.remoteurl:
        with findings.gathered():
            _check_url(proxy.remoteurl, "proxy.remoteurl")
        with findings.gathered():
            _check_command(proxy.exec.command, "proxy.exec.command")
        with findings.gathered():
            _refuse_both(entries)
    taken: dict[tuple[str, str], str] = {}
    names = {f"proxies[{index}].name" for index in range(len(entries))}
    for index, entry in enumerate(entries):
        key = f"proxies[{index}]"
        for check in (_check_name, _check_remote, _check_auth, _check_tls, _check_network, *_NAME_CHECKS):
            with findings.gathered():
                check(entry, key)
        for kind, value, where in _exclusive(entry, key):
            owner = taken.setdefault((kind, value), where)
            is_told = kind == "prefix" and {owner, where} <= names  # two that have one name have one prefix, too
            with findings.gathered():
                if owner != where and not is_told:
                    raise ConfigurationError(where, f"{value} is {owner} as well; only one upstream can have it")
    findings.conclude()


def _refuse_both(entries: tuple[Upstream, ...]) -> None:
    if entries:
        raise ConfigurationError(
            "proxies",
            "cannot stand beside proxy.remoteurl, whose upstream has every name: make that one an entry of proxies,"
            " with default: true",
        )


def _exclusive(entry: Upstream, key: str) -> Iterator[tuple[str, str, str]]:
    """Yield what only one entry may have: a kind, the value, and the key where it is written."""
    if entry.name:
        yield "name", entry.name, f"{key}.name"
    if entry.prefix or entry.name:
        yield "prefix", entry.prefix or entry.name, f"{key}.prefix" if entry.prefix else f"{key}.name"
    if entry.default:
        yield "default", "default: true", f"{key}.default"
    for kind, values in (("host", entry.hosts), ("namespace", entry.namespaces)):
        yield from ((kind, value.lower(), f"{key}.{kind}s[{place}]") for place, value in enumerate(values))


def _check_name(entry: Upstream, key: str) -> None:
    if not entry.name:
        raise ConfigurationError(f"{key}.name", "missing: write a short name of your choice, for example dockerhub")
    if len(entry.name) > _LONGEST_NAME or not is_component(entry.name):
        raise ConfigurationError(
            f"{key}.name", f"must be lower-case letters, digits and single . _ -, at most {_LONGEST_NAME} characters"
        )


def _check_remote(entry: Upstream, key: str) -> None:
    _check_url(entry.remoteurl, f"{key}.remoteurl")
    if urlsplit(entry.remoteurl).username is not None:
        raise ConfigurationError(f"{key}.remoteurl", "must not hold a user: write auth.username and auth.passwordfile")


def _check_url(url: str, where: str) -> None:
    """Return if `url`, which can be parsed as one, is that of a registry."""
    if not url:
        raise ConfigurationError(where, "missing: write the URL of the upstream, for example https://registry.example")
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ConfigurationError(
            where, "must begin with https:// or http:// and have a host, as https://registry.example does"
        )
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise ConfigurationError(where, "must not have a query or a fragment")
    try:
        parse_registry_url(url)
    except ValueError as error:
        raise ConfigurationError(where, f"is not the URL of a registry: {error}") from None


def _check_names(entry: Upstream, key: str) -> None:
    for name, value in (("prefix", entry.prefix), ("remoteprefix", entry.remoteprefix)):
        if value and (len(value) > _LONGEST_PREFIX or not is_name(value)):
            raise ConfigurationError(
                f"{key}.{name}",
                f"must be how names of repositories begin, without a slash at its end: for example hub; at most"
                f" {_LONGEST_PREFIX} of their {MAX_NAME_LENGTH} characters",
            )


def _check_hosts(entry: Upstream, key: str) -> None:
    lists = (("hosts", entry.hosts), ("namespaces", entry.namespaces), ("auth.realms", entry.auth.realms))
    for name, values in lists:
        for place, value in enumerate(values):
            if not _is_host(value):
                raise ConfigurationError(
                    f"{key}.{name}[{place}]", f"{value!r} is not HOST or HOST:PORT; an IPv6 address is in brackets"
                )


def _is_host(text: str) -> bool:
    try:
        host, port = addresses.parse(text, default_port=1)
    except ValueError:
        return False
    return port > 0 and (text.startswith("[") or _HOST.fullmatch(host.lower()) is not None)


def _check_globs(entry: Upstream, key: str) -> None:
    for name, patterns in (("allow", entry.allow), ("deny", entry.deny), ("cache.keep", entry.cache.keep)):
        for place, text in enumerate(patterns):
            try:
                Glob.parse(text)
            except ValueError as error:
                raise ConfigurationError(f"{key}.{name}[{place}]", f"{error}; write, for example, library/**") from None


def _check_prefetch(entry: Upstream, key: str) -> None:
    for place, section in enumerate(entry.prefetch):
        where = f"{key}.prefetch[{place}]"
        if not section.images:
            raise ConfigurationError(f"{where}.images", 'missing: write, for example, ["library/alpine:3.20"]')
        for number, image in enumerate(section.images):
            name, _, tag = image.partition("@") if "@" in image else image.partition(":")
            if not is_name(name) or not _is_reference(tag):
                raise ConfigurationError(f"{where}.images[{number}]", f"{image!r} is not NAME:TAG or NAME@DIGEST")
        for number, platform in enumerate(section.platforms):
            if not is_platform(platform):
                raise ConfigurationError(f"{where}.platforms[{number}]", f"{platform!r} is not OS/ARCH, as linux/amd64")


def _is_reference(text: str) -> bool:
    try:
        parse_reference(text)
    except (TagInvalidError, DigestInvalidError):
        return False
    return True


def _check_auth(entry: Upstream, key: str) -> None:
    auth = entry.auth
    login = bool(auth.username or auth.password or auth.passwordfile)
    sources = {"username": login, "exec.command": bool(auth.exec.command), "dockerconfig": bool(auth.dockerconfig)}
    given = [name for name, is_given in sources.items() if is_given]
    if len(given) > 1:
        raise ConfigurationError(f"{key}.auth", f"has {' and '.join(given)}: choose one source of credentials")
    if auth.password and auth.passwordfile:
        raise ConfigurationError(f"{key}.auth", "has password and passwordfile: choose one")
    if login and not auth.username:
        raise ConfigurationError(f"{key}.auth.username", "missing: the password alone cannot be sent")
    if login and not (auth.password or auth.passwordfile):
        raise ConfigurationError(f"{key}.auth.passwordfile", "missing: write the file that holds the password")
    _check_command(auth.exec.command, f"{key}.auth.exec.command")


def _check_command(command: str, where: str) -> None:
    if command and (command.split() != [command]):
        raise ConfigurationError(
            where, "must be one program without arguments, for example docker-credential-ecr-login"
        )


def _check_tls(entry: Upstream, key: str) -> None:
    tls = entry.tls
    if bool(tls.certificate) != bool(tls.key):
        missing = "key" if tls.certificate else "certificate"
        raise ConfigurationError(f"{key}.tls.{missing}", "missing: a client certificate needs both certificate and key")


def _check_network(entry: Upstream, key: str) -> None:
    proxy = entry.network.httpproxy
    if proxy in {"environment", "none"}:
        return
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(
            f"{key}.network.httpproxy",
            "must be environment, none, or the URL of a proxy such as http://proxy.example:3128",
        )


_NAME_CHECKS: Final[tuple[Callable[[Upstream, str], None], ...]] = (
    _check_names,
    _check_hosts,
    _check_globs,
    _check_prefetch,
)


def warn_proxied(configuration: Configuration) -> Iterator[str]:
    """Yield a warning for each key that has no effect, or hardly the one that is meant."""
    proxy = configuration.proxy
    if proxy.exec.command and (proxy.username or proxy.password):
        yield "proxy.username: ignored, as proxy.exec.command is asked for credentials"
    upstreams = "proxy.remoteurl" if proxy.remoteurl else "proxies" if configuration.proxies else ""
    if upstreams and configuration.storage.maintenance.readonly.enabled:
        yield f"{upstreams}: as the registry is read-only, what is fetched is passed on and not kept"
    own = urlsplit(configuration.http.host).netloc.lower()
    for index, entry in enumerate(configuration.proxies):
        yield from _warn_entry(entry, f"proxies[{index}]", own)


def _warn_entry(entry: Upstream, key: str, own: str) -> Iterator[str]:
    yield from _warn_secrecy(entry, key)
    if own and own in {host.lower() for host in entry.hosts}:
        yield f"{key}.hosts: {own} is the host of http.host, too: what is pushed here can be had under other hosts only"
    if own and own in {host.lower() for host in entry.namespaces}:
        yield f"{key}.namespaces: {own} is the host of http.host, too: ignored"
    if 0 < entry.cache.maxstale_seconds < entry.cache.freshness_seconds:
        yield f"{key}.cache.maxstale: is less than freshness, which holds all the same"
    for name, patterns in (("allow", entry.allow), ("deny", entry.deny), ("cache.keep", entry.cache.keep)):
        for place, text in enumerate(patterns):
            if ":" in text or text != text.lower():
                where = f"{key}.{name}[{place}]"
                yield f"{where}: does not match any repository: a name has no capital letters and no tag"


def _warn_secrecy(entry: Upstream, key: str) -> Iterator[str]:
    """Yield a warning for each key that lets somebody on the way read or change what is fetched."""
    has_login = bool(entry.auth.username or entry.auth.exec.command or entry.auth.dockerconfig)
    secrets = ", and gets its credentials" if has_login else ""
    if entry.tls.insecureskipverify:
        yield f"{key}.tls.insecureskipverify: whoever pretends to be this upstream says where its tags lead{secrets}"
    if urlsplit(entry.remoteurl).scheme == "http":
        if entry.tls != UpstreamTLS():
            yield f"{key}.tls: ignored, as remoteurl is http and not https"
        if has_login:
            yield f"{key}.auth: credentials go over the network unencrypted, as remoteurl is http and not https"
