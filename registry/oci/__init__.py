"""Values of the OCI specifications: no I/O, no Flask, no logging."""
