"""What is cached and was not used, or has no room, goes; what was pushed stays."""
