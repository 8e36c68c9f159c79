"""Calls of a store over HTTP, which the drivers of object stores share: signed, within a deadline, tried again."""
