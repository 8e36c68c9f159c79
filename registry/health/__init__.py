"""Whether this registry can do its work, found out by one process of a host and told by all of them."""
