"""``redis``: a cache that hosts share. Without it the registry asks its storage more often."""
