"""Who a caller is: passwords, API keys, CI jobs."""
