"""Who somebody is: passwords, API keys, CI jobs."""
