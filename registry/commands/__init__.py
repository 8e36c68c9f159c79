"""Groups of commands; ``registry.cli`` gathers them."""
