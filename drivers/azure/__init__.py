"""The driver ``azure``."""
