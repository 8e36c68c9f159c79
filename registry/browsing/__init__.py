"""What a page or a command shows of a registry: repositories as a tree, tags, what is in an image, what refers to it.

Everything here looks through a `registry.inventory.source.Reader`, so it is the same in front of a storage and of a
registry behind a URL. It knows nothing of HTTP, and nobody's rights but by the predicates that it is given.
"""
