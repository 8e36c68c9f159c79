"""A storage copied to another, whatever their drivers."""
