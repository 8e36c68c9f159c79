"""Storage middleware: drivers that stand before another and say where clients fetch content."""
