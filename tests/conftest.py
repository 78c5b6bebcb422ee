"""For every test: no canary (`tests/canary.py`) in any error that is made, or in anything that is printed or logged.

At the end of a run: what the tests that do harm on purpose have recorded.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from regend.errors import RegendError
from tests import canary
from tests.ledger import LEDGER, table

os.environ[canary.KEY_VARIABLE] = canary.KEY
os.environ["CI"] = "1"  # No command under test starts a daemon by itself, except where the test says so.


def _new(cls: type[RegendError], *args: object, **named: object) -> RegendError:
    canary.look("an error", f"{args} {named}")
    return Exception.__new__(cls, *args)


RegendError.__new__ = _new  # type: ignore[assignment, method-assign]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """A test that let a canary show has failed, whatever it says itself."""
    report: pytest.TestReport = yield
    for name, content in (section for section in report.sections if section[0].endswith(call.when)):
        canary.look(f"what was {name.lower()}", content)
    shown = canary.take_found()
    if shown and report.passed:
        report.outcome = "failed"
        report.longrepr = "; ".join(shown)
    return report


def pytest_configure(config: pytest.Config) -> None:
    """Set what the workers of this run and the commands under test inherit: the ledger's name, and Ctrl-C.

    A shell ignores Ctrl-C for tests in its background, and the commands would inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if LEDGER not in os.environ:
        os.environ[LEDGER] = str(Path(tempfile.mkdtemp(prefix="regend-ledger-")) / "ledger.jsonl")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = table(Path(os.environ[LEDGER]))
    if lines:
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.write_line(line.rstrip())
