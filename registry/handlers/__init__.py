"""HTTP in, storage calls out: one blueprint a noun."""
