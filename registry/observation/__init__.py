"""What can be seen of requests from outside: metrics, log lines, traces. Nothing of it is loaded when all are off."""
