"""Which roots the shared store searches by meaning, and which of their chunks it has: see `store.base.Elsewhere`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from regend.sharing.base import SharedModel
from regend.sharing.outbox import Outbox
from regend.types import ChunkId


class Searched:
    """Told on the event loop; any thread may ask.

    Args:
        paths: of the roots.
        on_change: called when the store has more chunks than before, or a root got its pool.
    """

    def __init__(self, paths: Sequence[str], on_change: Callable[[], object]) -> None:
        self.paths = frozenset(paths)
        self._on_change = on_change
        self._outbox: Outbox | None = None
        self._places: dict[str, str] = {}
        self._changes: dict[str, int] = {}

    def attach(self, outbox: Outbox, path: str, place: str) -> None:
        """Say what the outbox calls a root; from now on it is known what the store has."""
        self._outbox, self._places[path] = outbox, place
        self.changed(place)

    def changed(self, place: str) -> None:
        """Say that the store confirmed chunks."""
        self._changes[place] = self._changes.get(place, 0) + 1
        if any(self.has(path) for path, own in self._places.items() if own == place):
            self._on_change()

    def has(self, root_path: str) -> bool:
        """Return whether the store searches a root."""
        return root_path in self.paths

    def changes(self, root_path: str) -> int:
        """Return how often the answer of `held` may have changed; 0 while the root has no pool."""
        return self._changes.get(self._places.get(root_path, ""), 0)

    def held(self, root_path: str, model_id: str, dim: int, chunks: Sequence[ChunkId]) -> set[ChunkId]:
        """Return those of `chunks` that the store has confirmed, with a vector of the model, for the root."""
        assert self._outbox is not None, "changes() comes first"
        return self._outbox.confirmed(self._places[root_path], SharedModel(model_id, dim), chunks)

    def tree(self, root_path: str) -> tuple[str, str]:
        """Return the name of a root's tree and its revision in the store; empty before the first."""
        place = self._places.get(root_path)
        return ("", "") if place is None or self._outbox is None else self._outbox.named[place]
