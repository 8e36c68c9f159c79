"""The one client of other registries."""
