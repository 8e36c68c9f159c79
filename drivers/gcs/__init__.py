"""The driver ``gcs``."""
