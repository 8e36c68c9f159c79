"""What a pull-through cache does."""
