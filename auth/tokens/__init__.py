"""Signed tokens: how they are verified, signed and asked for."""
