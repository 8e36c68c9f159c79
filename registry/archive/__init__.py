"""Repositories as one file: a tar of an OCI image layout (image-spec, image-layout.md), from and into the storage."""
