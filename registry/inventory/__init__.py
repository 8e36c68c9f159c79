"""What a registry has, how much of the disk it takes, and its deletion: of a storage, or of any registry over HTTP."""
