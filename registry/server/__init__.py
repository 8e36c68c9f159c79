"""The server: gunicorn, embedded, with a worker of our own; TLS, certificates, the debug server."""
