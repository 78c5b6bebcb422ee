"""`regenctl mcp`: the server on standard input and output, one process for each client.

It reads in one thread and answers each call in another, and it ends when its input ends or its parent is gone.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from dataclasses import dataclass

from regend import __version__
from regend.mcp.answering import Answerer, CancelledCall
from regend.mcp.link import Link
from regend.mcp.messages import INTERNAL_ERROR, FaultError, Lines, error_line
from regend.mcp.protocol import Call, Cancel, Server, Session
from regend.mcp.scope import Places
from regend.mcp.tools import INSTRUCTIONS, tools

MAX_RUNNING = 8
"""Maximum calls that are answered at the same time; further ones wait in order."""
MAX_WAITING = 256
"""Maximum calls that wait; further ones are refused."""
ROOTS_LIMIT_S = 2.0
"""Longest wait for an older client's roots; after it, calls are answered without them."""
LAST_ANSWERS_S = 3.0
"""How long calls that are being answered have when the input has ended."""
_PARENT_POLL_S = 2.0
"""How often the parent is looked for where the kernel cannot say when it ends."""
_READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Settings:
    """The choices of the command line.

    Attributes:
        adds: index the client's repository if it is not indexed.
        manages: offer `index_repository`.
    """

    socket: str | None
    root: str
    adds: bool
    manages: bool


def serve(settings: Settings) -> int:
    """Serve the client on standard input and output until it is gone; return the exit status."""
    wire_in, wire_out = _claim_streams()
    offered = tools(settings.manages)
    shown = {name: tool.shown() for name, tool in offered.items()}
    places = Places.of_process(settings.root)
    server = _Stdio(Session(Server(__version__, INSTRUCTIONS, shown)), wire_out, Link(settings.socket))
    server.serve(wire_in, _Calls(server, Answerer(server.link, offered, settings.adds), places))
    return 0


def _claim_streams() -> tuple[int, int]:
    """Return descriptors of our own for the wire, so that nothing that is printed by mistake gets into it."""
    wire_in, wire_out = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return wire_in, wire_out


class _Stdio:
    """Owns the wire: reads in the main thread, and writes whole lines from any."""

    def __init__(self, session: Session, wire_out: int, link: Link) -> None:
        self.session = session
        self.link = link
        self._wire_out = wire_out
        self._writing = threading.Lock()

    def send(self, line: bytes) -> None:
        """Write a line. If the client is gone, the input has ended, too, and says so."""
        with self._writing:
            while line:
                try:
                    line = line[os.write(self._wire_out, line) :]
                except BlockingIOError:  # Clients may hand over a pipe that does not block.
                    select.select([], [self._wire_out], [])
                except OSError:
                    return

    def serve(self, wire_in: int, calls: _Calls) -> None:
        lines, parent = Lines(), _Parent()
        watched = select.poll()
        for descriptor in (wire_in, *parent.descriptors):
            watched.register(descriptor, select.POLLIN)
        roots_by = 0.0
        while True:
            waits_s = parent.poll_s
            if self.session.awaits_roots:
                roots_by = roots_by or time.monotonic() + ROOTS_LIMIT_S
                waits_s = max(0.0, roots_by - time.monotonic())
            ready = {descriptor for descriptor, _ in watched.poll(None if waits_s is None else waits_s * 1e3)}
            if parent.is_gone(ready):
                return
            if wire_in in ready:
                try:
                    data = os.read(wire_in, _READ_BYTES)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                if not data:
                    calls.start(self.session.directories)
                    calls.finish(LAST_ANSWERS_S)
                    return
                for line in lines.feed(data):
                    for step in self.session.receive(line):
                        calls.take(step) if isinstance(step, (Call, Cancel)) else self.send(step)
            if not self.session.awaits_roots or time.monotonic() >= roots_by > 0:
                self.session.awaits_roots, roots_by = False, 0.0
                calls.start(self.session.directories)


class _Parent:
    """Says when the process that started us is gone: a client that was killed may leave its end of a pipe open
    in another child. The first process of a container has no parent that could be gone.
    """

    def __init__(self) -> None:
        self._pid = os.getppid()
        self.descriptors: tuple[int, ...] = ()
        if self._pid > 1 and hasattr(os, "pidfd_open"):
            try:
                self.descriptors = (os.pidfd_open(self._pid),)
            except OSError:
                pass  # An old kernel, or a sandbox: we look from time to time.
        self.poll_s = None if self.descriptors or self._pid <= 1 else _PARENT_POLL_S

    def is_gone(self, ready: set[int]) -> bool:
        return bool(ready & set(self.descriptors)) or (self._pid > 1 and os.getppid() != self._pid)


class _Calls:
    """Answers calls in threads; owns which wait and which are being answered."""

    def __init__(self, host: _Stdio, answerer: Answerer, places: Places) -> None:
        self._host = host
        self._answerer = answerer
        self._places = places
        self._waiting: deque[Call] = deque()
        self._running: dict[str | int, Call] = {}
        self._busy = 0
        """Threads that answer. A call that was cancelled keeps its thread until the daemon has answered."""
        self._changed = threading.Condition()
        self._client_roots: tuple[str, ...] = ()

    def take(self, step: Call | Cancel) -> None:
        """Note a call, to be started by `start`, or forget one."""
        with self._changed:
            if isinstance(step, Cancel):
                self._running.pop(step.id, None)
                self._waiting = deque(call for call in self._waiting if call.id != step.id)
                return
            full = len(self._waiting) >= MAX_WAITING
            known = step.id in self._running or any(call.id == step.id for call in self._waiting)
            if not full and not known:
                self._waiting.append(step)
                return
        why = f"{MAX_WAITING} calls wait already; try again." if full else "A call with this id is being answered."
        self._host.send(error_line(FaultError(INTERNAL_ERROR, why, id=step.id if full else None)))

    def start(self, client_roots: tuple[str, ...]) -> None:
        """Start the calls that wait, as far as there is room."""
        self._client_roots = client_roots
        with self._changed:
            while self._waiting and self._busy < MAX_RUNNING:
                call = self._waiting.popleft()
                self._running[call.id] = call
                self._busy += 1
                try:
                    threading.Thread(target=self._answer, args=(call,), daemon=True).start()
                except RuntimeError as error:
                    del self._running[call.id]
                    self._busy -= 1
                    why = f"No thread can be started for this call ({error}); try again when the system has room."
                    self._host.send(error_line(FaultError(INTERNAL_ERROR, why, id=call.id)))

    def finish(self, limit_s: float) -> None:
        """Wait until all calls are answered, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running and not self._waiting, limit_s)

    def _answer(self, call: Call) -> None:
        session = self._host.session

        def report(done: float, total: float, message: str) -> None:
            if not self._wanted(call):
                raise CancelledCall
            if call.progress_token is not None:
                self._host.send(session.progress(call, done, total, message))

        line = self._answerer.answer(session, call, self._places, self._client_roots, report)
        with self._changed:
            self._busy -= 1
            wanted = self._running.get(call.id) is call
            if wanted:
                del self._running[call.id]
        if wanted and line:
            self._host.send(line)
        self.start(self._client_roots)
        with self._changed:
            self._changed.notify_all()

    def _wanted(self, call: Call) -> bool:
        with self._changed:
            return self._running.get(call.id) is call
