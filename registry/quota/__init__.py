"""Quotas: how many bytes the repositories of a group may have together, counted without a database."""
