"""Blobs on their way from an upstream: fetched once, read by all who ask meanwhile, and kept."""
