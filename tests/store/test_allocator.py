"""Memory that threads have freed goes back to the system."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from regend.store import allocator

FREED_BY_THREADS = """
import threading
from regend.store.allocator import give_back

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6

def use():
    blocks = [bytes(2_000) for _ in range(20_000)]
    kept.append(blocks[-1])
    blocks.clear()

kept = []
threads = [threading.Thread(target=use) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
before = resident_mb()
print(give_back(), before - resident_mb())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library gives memory back by itself")
def test_what_threads_have_freed_goes_back() -> None:
    done = subprocess.run([sys.executable, "-c", FREED_BY_THREADS], capture_output=True, text=True, check=True)
    gave, difference_mb = done.stdout.split()
    assert gave == "True"
    assert float(difference_mb) > 20.0


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="this C library has no arenas to bound")
def test_arenas_are_bounded() -> None:
    assert allocator.bound_arenas()


def test_a_library_without_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _name: object())
    assert not allocator.give_back()
    assert not allocator.bound_arenas()
