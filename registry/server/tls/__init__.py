"""TLS in the registry's own processes, as ``http.tls`` asks for it."""
