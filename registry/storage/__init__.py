"""What a registry keeps, in terms of a storage driver."""
