"""A container image registry: OCI distribution over the storage tree of the CNCF distribution registry."""

__version__ = "0.1.0"
