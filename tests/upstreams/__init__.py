"""A registry that tests put in front of what fetches from others: it answers well until it is told how to fail."""

from tests.upstreams.server import Answer, Asked, Registry, registry

__all__ = ["Answer", "Asked", "Registry", "registry"]
