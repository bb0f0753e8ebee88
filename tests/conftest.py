"""Ctrl-C works in tests that were started in the background, where shells have it ignored."""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
