"""A worker process whose file calls can hang, see `hang`."""

from __future__ import annotations

from regend.workers import worker
from tests.e2e.hang import install


def main(argv: list[str]) -> None:
    """Run a worker, with the arguments of `worker.main`."""
    install()
    worker.main(argv)
