"""People who log in at an identity provider (OpenID Connect)."""
