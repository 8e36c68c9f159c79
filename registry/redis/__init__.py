"""``redis``: a server that hosts share to remember things. Without it the registry asks its storage more often."""
