"""Where the pages are: every path that a page, a form or a redirect names is spelt here.

A repository is at its name, a tag and a manifest at what clients call them: ``<name>:<tag>``, ``<name>@<digest>``. All
else begins with ``_``, as no name of a repository does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

_SAFE: Final = "/:@"


class Links:
    """Paths of the pages that lie at `base`, and of static files of the `version` that is served."""

    def __init__(self, base: str, version: str) -> None:
        self.base = base
        self._version = version

    def home(self, after: str = "", sort: str = "") -> str:
        """Return the page of all repositories, from behind `after` on; as a tree, or as a list in an order."""
        return self._to("", sort=sort, after=after)

    def tree(self, path: str, after: str = "") -> str:
        """Return the page of what is nested in `path`, from behind `after` on."""
        return self._to("_tree", path=path, after=after)

    def repository(self, name: str, **query: str) -> str:
        """Return the page of a repository, or of what is nested in `name`."""
        return self._to(name, **query)

    def tag(self, name: str, tag: str) -> str:
        """Return the page of what a tag leads to."""
        return self._to(f"{name}:{tag}")

    def manifest(self, name: str, digest: object) -> str:
        """Return the page of a manifest."""
        return self._to(f"{name}@{digest}")

    def referrers(self, name: str, digest: object) -> str:
        """Return the page of what refers to a manifest."""
        return self._to("_referrers", repository=name, digest=str(digest))

    def attached(self, name: str, digest: object) -> str:
        """Return the page of what is attached to a manifest, in short."""
        return self._to("_attached", repository=name, digest=str(digest))

    def document(self, name: str = "", digest: object = "") -> str:
        """Return the page of what an attached manifest says, and what its form is sent to."""
        return self._to("_document", repository=name, digest=str(digest))

    def readme(self, name: str, newest: str = "") -> str:
        """Return the page of the README of a repository; the tag `newest` is looked at where others have none."""
        return self._to("_readme", repository=name, newest=newest)

    def compare(self, name: str = "", one: object = "", other: object = "", *, other_repository: str = "") -> str:
        """Return the page that compares two tags or digests, of the same repository if no other is said."""
        return self._to("_compare", repository=name, one=str(one), other=str(other), with_=other_repository)

    def search(self, text: str = "", after: str = "") -> str:
        """Return the page of what is found for `text`."""
        return self._to("_search", q=text, after=after)

    def login(self, target: str = "") -> str:
        """Return the page to log in, which leads on to `target`, a path of ours."""
        return self._to("_login", next=target)

    def logout(self) -> str:
        """Return what the form to log out is sent to."""
        return self._to("_logout")

    def oidc(self, provider: str, target: str = "") -> str:
        """Return the path that sends a browser to a provider, and at which it comes back."""
        return self._to(f"_oidc/{provider}", next=target)

    def keys(self) -> str:
        """Return the page of the API keys of who has logged in."""
        return self._to("_keys")

    def revoke(self, key_id: str = "") -> str:
        """Return the page that asks whether to revoke a key, and what its form is sent to."""
        return self._to("_keys/_revoke", key=key_id)

    def storage(self) -> str:
        """Return the page of what operators want to know."""
        return self._to("_storage")

    def delete(self, name: str = "", *, tag: str = "", digest: object = "") -> str:
        """Return what asks whether to delete a tag, a manifest, or else the whole repository, and does it."""
        return self._to("_delete", repository=name, tag=tag, digest=str(digest))

    def retag(self, name: str = "", reference: str = "") -> str:
        """Return what points a tag at a manifest of the same repository."""
        return self._to("_tag", repository=name, reference=reference)

    def copy(self, name: str = "", reference: str = "") -> str:
        """Return what copies a manifest to another repository."""
        return self._to("_copy", repository=name, reference=reference)

    def static(self, file: str) -> str:
        """Return a file that never changes at this path."""
        return self._to(f"_static/{file}", v=self._version)

    def is_ours(self, target: str) -> bool:
        """Tell whether `target`, which somebody may have made up, is a path of these pages and nothing else.

        A browser takes a backslash for a slash, and leaves out tabs and line ends.
        """
        plain = target.isascii() and target.isprintable() and not set('\\"<> ') & set(target)
        path = target.partition("?")[0]
        return plain and f"{path}/".startswith(f"{self.base}/") and "//" not in path and "/.." not in path

    def _to(self, path: str, /, **query: str) -> str:
        return f"{self.base}/{quote(path, safe=_SAFE)}{_spelt(query)}"


def _spelt(query: Mapping[str, str]) -> str:
    given = {name.rstrip("_"): value for name, value in query.items() if value}
    return f"?{urlencode(given)}" if given else ""
