"""Storage drivers: where the bytes lie. ``drivers.base`` is the contract."""
