"""Small rules that the registry, its drivers and its access controllers share. It imports none of them."""
