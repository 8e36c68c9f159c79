"""HTTP in, storage calls out: one blueprint for each noun."""
