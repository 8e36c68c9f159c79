"""Certificates from Let's Encrypt and other ACME servers (RFC 8555): ``http.tls.letsencrypt``."""
