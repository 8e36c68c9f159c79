"""The token service of ``auth: local``: credentials in, tokens out."""
