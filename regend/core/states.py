"""The states of one path, and every step between them; docs/states.md is drawn from this table.

A path may be in several parts of the pipeline at once: hinted again while an older version of it is being read. Its
state is the first in the order of `State` that applies, so the newest news is what shows. Nothing here holds state; the
simulation fails on a step that `STEPS` lacks, and on a row that it never sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Where a path is on its road from a hint to the index; the values say what it means."""

    HELD = "The root's directory is gone; nothing is concluded until it is back."
    CHANGED = "A hint, or a scan that has no slot yet, covers the path."
    LOOKING = "A scan looks at the disk and has not reported the path yet."
    WAITING = "The file's content is new to the pool and waits for a worker."
    READING = "A worker reads and chunks the file."
    DOOMED = "A scan found the path gone; its deletion waits for everything that may replace it."
    ACCEPTED = "An operation on the path waits for a commit."
    COMMITTING = "The index thread applies the operation."
    INDEXED = "The index holds the file as it was seen."
    SKIPPED = "The index holds why the file is not searchable."
    ABSENT = "The index holds nothing under this path."


SETTLED = (State.INDEXED, State.SKIPPED, State.ABSENT)
SERVED = tuple(state for state in State if state is not State.HELD)


@dataclass(frozen=True, slots=True)
class Step:
    """From any of `starts` to any of `ends` by any of `causes`.

    Attributes:
        starts: empty: the root was not served before.
        causes: events, commands, ``settle`` (all other work of a scan is ready) or ``known`` (a waiting file needs no
            worker any more); empty: any of them.
        reason: when this happens, for a reader.
    """

    starts: tuple[State, ...]
    causes: tuple[str, ...]
    ends: tuple[State, ...]
    reason: str

    def allows(self, start: State | None, cause: str, end: State) -> bool:
        known = start in self.starts if start is not None else not self.starts
        return known and end in self.ends and (not self.causes or cause in self.causes)


_OTHERS = tuple(state for state in SERVED if state is not State.CHANGED)
STEPS = (
    Step((), ("RootAdded",), (State.CHANGED,), "The pipeline compares a new root with the disk."),
    Step(_OTHERS, ("PathChanged", "RescanNeeded"), (State.CHANGED,), "A hint covers the path."),
    Step(_OTHERS, (), (State.CHANGED,), "Other work asks for a look that covers the path: its file vanished before a "
         "worker came, the store lacks its blob, the root was found, narrow scopes became one, or a scan saw a hot "
         "path in its pause."),
    Step(SERVED, ("RootLost", "Observed"), (State.HELD,), "The root's directory is gone."),
    Step((State.HELD,), ("RootFound",), (State.CHANGED,), "The root is back and is compared with the disk."),
    Step((State.CHANGED,), ("Observe",), (State.LOOKING,), "The path was quiet, the pause of a hot path is over, and a "
         "slot is free."),
    Step((State.LOOKING,), ("Observed",), SETTLED, "The disk is as the index has it."),
    Step((State.LOOKING,), ("Observed",), (State.WAITING,), "The pool does not hold the content."),
    Step((State.LOOKING,), ("Observed",), (State.ACCEPTED,), "The pool holds the content, only the signature differs, "
         "or the file is to be skipped."),
    Step((State.LOOKING,), ("Observed",), (State.DOOMED,), "The path is gone from disk."),
    Step((State.LOOKING,), ("Observed",), (State.READING, State.COMMITTING), "Nothing is new, and work that began "
         "earlier goes on."),
    Step((State.WAITING,), ("ChunkFile",), (State.READING,), "A worker is free."),
    Step((State.WAITING,), ("known",), (State.ACCEPTED, State.COMMITTING, *SETTLED), "A worker is free, but the "
         "content became known meanwhile: an earlier scan had seen the same, or the pool got it with another path."),
    Step((State.READING,), ("ChunkFailed",), (State.WAITING,), "The first failure: one retry, alone in a worker."),
    Step((State.READING,), ("Chunked", "ChunkFailed"), (State.ACCEPTED,), "The chunks are ready; or the second "
         "failure quarantines the file; or the path is gone meanwhile."),
    Step((State.READING,), ("Chunked", "ChunkFailed"), (State.COMMITTING, *SETTLED), "A newer version was accepted "
         "meanwhile, so the result is dropped."),
    Step((State.DOOMED,), ("settle",), (State.ACCEPTED,), "All that may replace the path is ready: delete it."),
    Step((State.ACCEPTED,), ("Commit",), (State.COMMITTING,), "No other commit is in progress."),
    Step((State.COMMITTING,), ("CommitFailed",), (State.ACCEPTED,), "Nothing was applied; a pause, then again."),
    Step((State.COMMITTING,), ("Committed",), SETTLED, "The operation is durable and searchable by words."),
)  # fmt: skip
