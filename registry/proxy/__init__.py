"""Repositories of other registries, cached: what a repository lacks is fetched from its upstream and kept."""
