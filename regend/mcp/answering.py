"""Answers calls of tools with words, whatever transport they came by, and counts what the answers save."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regend.errors import RegendError
from regend.mcp import savings
from regend.mcp.asking import Answer, Daemon, Question, Report, ask, trouble
from regend.mcp.messages import INTERNAL_ERROR, FaultError, error_line
from regend.mcp.protocol import Call, Session
from regend.mcp.scope import Places
from regend.mcp.text import tokens_of
from regend.mcp.tools import Tool


class CancelledCall(Exception):  # noqa: N818 - it is no error.
    """The client does not want the answer any more."""


class Answerer:
    """Answers calls; several threads may ask it at the same time.

    Args:
        offered: the tools by name.
        adds: index a repository that is not indexed yet.
    """

    def __init__(self, daemon: Daemon, offered: Mapping[str, Tool], adds: bool) -> None:
        self._daemon = daemon
        self._offered = offered
        self._adds = adds
        self._state_dir: str | None = None

    def answer(
        self, session: Session, call: Call, places: Places, client_roots: tuple[str, ...], report: Report
    ) -> bytes:
        """Return the line that answers a call; empty if `report` raised `CancelledCall`."""
        try:
            arguments = self._offered[call.tool].checked(call.arguments)
            answer = ask(self._daemon, Question(call.tool, arguments, places, client_roots, self._adds), report)
            self._count(call.tool, answer)
            return session.answer(call, answer.text, answer.facts, failed=False)
        except CancelledCall:
            return b""
        except RegendError as error:
            facts: Mapping[str, Any] = {"error": error.code}
            return session.answer(call, trouble(error), facts, failed=True)
        except Exception as error:
            fault = f"A mistake of regend's own ({type(error).__name__}); please report it."
            return error_line(FaultError(INTERNAL_ERROR, fault, id=call.id))

    def _count(self, tool: str, answer: Answer) -> None:
        """Add the answer to what `regenctl savings` shows, if the user lets us."""
        if not answer.files:
            return
        if self._state_dir is None:
            # A daemon of an older release has no such setting.
            counted = self._daemon.call("config")["config"].get("client", {}).get("savings")
            self._state_dir = self._daemon.call("status")["state_dir"] if counted else ""
        if self._state_dir:
            try:
                savings.record(self._state_dir, tool, tokens_of(answer.text), answer.files)
            except OSError:
                pass  # The answer counts more than its count.
