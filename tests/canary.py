"""Secrets that must show nowhere: tests send them about, and requests, logs and errors are looked at.

`tests/conftest.py` looks at every error that is made and at all that any test prints or logs; the embedding servers of
the tests at every body they get; `tests/e2e/rig.py` at daemons' logs, command lines and state.
"""

from __future__ import annotations

from pathlib import Path

KEY_VARIABLE = "REGEND_TEST_CANARY_KEY"
# In two parts each, because this repository must hold nothing that looks like a secret.
KEY = "sk-canary-" + "Zq81Lm4Xv7Bt5Ry2"
"""The API key that providers are given; belongs into a header and nowhere else."""
SECRET = "AKIA" + "Z7Q2M4X9L1K8J3H5"
"""Part of a text that is embedded; may be in requests to this machine and in the store, and in no log or error."""

found: list[str] = []


def look(where: str, said: str | bytes, *canaries: str) -> None:
    """Note each canary in `said`; the test that runs will fail."""
    raw = said.encode(errors="replace") if isinstance(said, str) else said
    shown = [canary for canary in canaries or (KEY, SECRET) if canary.encode() in raw]
    found.extend(f"the {'key' if canary == KEY else 'secret'} shows in {where}" for canary in shown)


def look_into(directory: Path) -> None:
    """No file of a state directory holds the key."""
    for path in directory.rglob("*"):
        if path.is_file():
            look("state", path.read_bytes(), KEY)


def take_found() -> list[str]:
    """Return the findings since the last call, and forget them."""
    taken = list(dict.fromkeys(found))
    found.clear()
    return taken
