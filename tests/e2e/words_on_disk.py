"""Runs a daemon that keeps the words of small roots on disk, too, where faults can strike them.

python -m tests.e2e.words_on_disk ARGUMENTS...
"""

from __future__ import annotations

import sys

from regend.__main__ import main
from regend.store import memory

if __name__ == "__main__":
    memory.MEMORY_DOCS = 0
    sys.exit(main())
