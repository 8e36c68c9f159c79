"""The driver ``filesystem``."""
