"""The drivers ``s3`` and ``s3aws``."""
