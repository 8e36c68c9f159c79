"""Signed tokens: how they are made, verified and asked for."""
