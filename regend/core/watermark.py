"""Flush tickets over input sequence numbers.

Every input that may cause work gets a sequence number. As long as any work that stems from it is outstanding, the
number is *held* (counted, because one rescan fans out into many files). A ticket taken at number *n* resolves when no
number up to *n* is held any more. The same idea as the low watermark of a stream processor (Akidau et al., VLDB 2015).
"""

from __future__ import annotations

import heapq


class Watermark:
    """Owns which numbers are held and which tickets wait; independent of time."""

    def __init__(self) -> None:
        self._latest = 0
        self._holds: dict[int, int] = {}
        self._heap: list[int] = []
        self._tickets: dict[int, int] = {}

    def hold_next(self) -> int:
        """Hold the next number, for a new input, and return it."""
        self._latest += 1
        self.hold(self._latest)
        return self._latest

    def hold(self, seq: int) -> None:
        """Hold `seq` once more: further work stems from it."""
        count = self._holds.get(seq, 0)
        if count == 0:
            heapq.heappush(self._heap, seq)
        self._holds[seq] = count + 1

    def release(self, *seqs: int) -> None:
        """Release each number once: a piece of work that stems from it is done, or dropped for good."""
        for seq in seqs:
            count = self._holds[seq]
            if count == 1:
                del self._holds[seq]
                self.oldest()  # So that numbers do not pile up while no ticket waits.
            else:
                self._holds[seq] = count - 1

    def oldest(self) -> int | None:
        """Return the smallest number that is held; None when nothing is outstanding."""
        while self._heap and self._heap[0] not in self._holds:
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else None

    def add_ticket(self, ticket: int) -> None:
        """Let `ticket` wait for every number given out so far."""
        self._tickets[ticket] = self._latest

    def abandon(self, ticket: int) -> None:
        """Forget the ticket; unknown tickets are ignored."""
        self._tickets.pop(ticket, None)

    def take_resolved(self) -> list[int]:
        """Take the tickets that have nothing older outstanding, in the order in which they were added."""
        if not self._tickets:
            return []
        oldest = self.oldest()
        done = [ticket for ticket, seq in self._tickets.items() if oldest is None or oldest > seq]
        for ticket in done:
            del self._tickets[ticket]
        return done

    @property
    def waiting(self) -> tuple[int, ...]:
        """Tickets that are not resolved."""
        return tuple(self._tickets)

    @property
    def first_awaited(self) -> int | None:
        """The smallest number that a ticket waits for; None while no ticket waits."""
        return min(self._tickets.values(), default=None)

    @property
    def held_count(self) -> int:
        """Number of held numbers; 0 means nothing is outstanding."""
        return len(self._holds)

    def check_invariants(self) -> None:
        assert all(count > 0 for count in self._holds.values())
        assert set(self._holds) <= set(self._heap)
