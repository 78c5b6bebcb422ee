"""Measurements on the real daemon, through its socket and its command line. `python -m benchmarks --help` lists them."""
