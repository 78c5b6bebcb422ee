"""Recent answers: who asks the same again before anything has changed gets the same answer at once."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import NamedTuple
from weakref import ReferenceType, ref

from regend.search.options import SearchOptions
from regend.search.results.outcome import SearchOutcome
from regend.store.base import FloatVector, Snapshot

_ANSWERS = 128
_MOST_SNIPPETS = 50
"""Maximum results of an answer that is kept; larger ones are rare, and take memory."""


class _Asked(NamedTuple):
    generation: int
    options: SearchOptions
    vector: bytes


class RecentAnswers:
    """The last answers from one snapshot, which never changes. Any thread may use it; it keeps no snapshot alive."""

    def __init__(self, capacity: int = _ANSWERS) -> None:
        self._capacity = capacity
        self._snapshot: ReferenceType[Snapshot] | None = None
        self._known: OrderedDict[_Asked, SearchOutcome] = OrderedDict()
        self._lock = Lock()

    def get(self, snapshot: Snapshot, options: SearchOptions, vector: FloatVector | None) -> SearchOutcome | None:
        """Return the answer that was given to the same question of the same snapshot."""
        asked = _asked(snapshot, options, vector)
        with self._lock:
            if self._snapshot is None or self._snapshot() is not snapshot:
                return None
            found = self._known.get(asked)
            if found is not None:
                self._known.move_to_end(asked)
            return found

    def put(
        self, snapshot: Snapshot, options: SearchOptions, vector: FloatVector | None, answer: SearchOutcome
    ) -> None:
        """Keep an answer until another snapshot is asked, or many other questions."""
        if len(answer.results) > _MOST_SNIPPETS:
            return
        with self._lock:
            if self._snapshot is None or self._snapshot() is not snapshot:
                self._snapshot = ref(snapshot)
                self._known.clear()
            self._known[_asked(snapshot, options, vector)] = answer
            while len(self._known) > self._capacity:
                self._known.popitem(last=False)


def _asked(snapshot: Snapshot, options: SearchOptions, vector: FloatVector | None) -> _Asked:
    return _Asked(snapshot.generation, options, b"" if vector is None else vector.tobytes())
