"""Measurements on the real daemon, through its socket and command line; `python -m benchmarks --help` lists them."""
