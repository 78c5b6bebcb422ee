"""The steps that paths take in the simulation, held against the core's table, and the page that is drawn from it.

`python -m tests.core.path_states` writes the drawn part of docs/states.md again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from regend.core import events as ev
from regend.core.commands import ChunkFile, Command, Observe
from regend.core.heat import Key
from regend.core.inflight import WorkItem
from regend.core.pipeline import Pipeline, PipelineConfig
from regend.core.planner import covers
from regend.core.states import SETTLED, STEPS, State

PAGE = Path(__file__).parents[2] / "docs/states.md"
BEGIN, END = "<!-- drawn from regend/core/states.py -->\n", "<!-- end -->\n"

Seen = tuple[State | None, str, State]


class WatchedPipeline(Pipeline):
    """A pipeline that checks each step of some paths against the table.

    Args:
        keys: the paths that are watched.
        seen: counts the steps of all pipelines of a run.
    """

    def __init__(self, config: PipelineConfig, keys: Iterable[Key], seen: Counter[Seen]) -> None:
        super().__init__(config)
        self._keys = tuple(keys)
        self._seen = seen
        self._states: dict[Key, State] = {}
        settle, take_due, is_known_now = self._files.settle, self._files.take_due, self._files._is_known_now

        def settle_and_note() -> None:
            settle()
            self._note("settle")

        def note_and_take_due() -> Iterator[Observe | ChunkFile]:
            self._note("due")  # Narrow scopes that became one may cover the path before the scan begins.
            return take_due()

        def decide_and_note(item: WorkItem) -> bool:
            known = is_known_now(item)
            if known:
                self._note("known")
            return known

        self._files._is_known_now = decide_and_note  # type: ignore[method-assign]
        self._files.settle = settle_and_note  # type: ignore[method-assign]
        self._files.take_due = note_and_take_due  # type: ignore[method-assign]

    def handle(self, event: ev.Event, now: float) -> list[Command]:
        self._record(event, now)
        self._note(type(event).__name__)
        commands = []
        for command in self._pump(now):
            self._note(type(command).__name__)
            commands.append(command)
        self._note(type(event).__name__)  # A hint became a scan, and no command followed.
        return commands

    def _note(self, cause: str) -> None:
        for key in self._keys:
            before, after = self._states.get(key), state_of(self, key)
            if after is not None and after is not before:
                self._states[key] = after
                assert any(step.allows(before, cause, after) for step in STEPS), f"{key}: {before} {cause} {after}"
                self._seen[before, cause, after] += 1


def state_of(pipeline: Pipeline, key: Key) -> State | None:
    """Return the first state that applies, in the order of `State`; None where the root is not served."""
    root, path = key
    files, scans, inflight, commits = pipeline._files, pipeline._scans, pipeline._files._inflight, pipeline._commits
    if root not in files._roots:
        return None
    hints = pipeline._debouncer._roots.get(root)
    looks = [s for s in scans._listing.values() if s.root == root and not s.dropped and path not in s.seen]
    asked = [(hint.path,) for hint in (hints.all() if hints else ())]
    asked += [scan.scopes for scan in scans._waiting if scan.root == root]
    planned = files._planner._trees[root].files.get(path)
    applies = {
        State.HELD: files._roots[root].lost,
        State.CHANGED: any(covers(scope, path) for scopes in asked for scope in scopes),
        State.LOOKING: any(covers(scope, path) for scan in looks for scope in scan.scopes),
        State.WAITING: any(key in queue for queue in inflight._waiting.values()),
        State.READING: inflight.newest(root, path) is not None,
        State.DOOMED: files._planner.is_doomed(root, path),
        State.ACCEPTED: any(key in queue for queue in commits._waiting.values()),
        State.COMMITTING: commits.find(key) is not None,
        State.INDEXED: planned is not None and not planned.skipped,
        State.SKIPPED: planned is not None,
        State.ABSENT: True,
    }
    return next(state for state in State if applies[state])


def unseen(seen: Iterable[Seen]) -> list[str]:
    """Return what the table names and no path did: each cause and end of each row, beyond what rows above it allow."""
    by_row = Counter(name for step in seen for name in _named(step))
    named = [(number, name) for number, row in enumerate(STEPS) for name in (*row.causes, *row.ends)]
    return [f"row {number}: {name}" for number, name in named if not by_row[number, name]]


def _named(step: Seen) -> list[tuple[int, str]]:
    number = next(number for number, row in enumerate(STEPS) if row.allows(*step))
    return [(number, step[1]), (number, step[2])]


def drawing() -> str:
    """Return the drawn part of docs/states.md."""
    lines = [BEGIN, "| state | meaning |", "|---|---|"]
    lines += [f"| {_name(state)} | {state.value} |" for state in State]
    lines += ["", "```mermaid", "stateDiagram-v2"]
    for row in STEPS:
        if len(row.starts) > 1:
            continue  # From nearly everywhere: the table below has it, and arrows would hide the road.
        cause = ", ".join(row.causes)
        start = _name(row.starts[0]) if row.starts else "[*]"
        ends = dict.fromkeys("settled" if end in SETTLED else _name(end) for end in row.ends)
        lines += [f"    {start} --> {end}: {cause}" for end in ends]
    lines += ["    state settled {", *(f"        {_name(state)}" for state in SETTLED), "    }", "```", ""]
    lines += ["| from | event or command | to | when |", "|---|---|---|---|"]
    for row in STEPS:
        others = [state for state in State if state not in row.starts]
        starts = f"any but {_names(others)}" if len(row.starts) > 1 else _names(row.starts) or "a root that is new"
        causes = ", ".join(f"`{cause}`" for cause in row.causes) or "any"
        lines.append(f"| {starts} | {causes} | {_names(row.ends)} | {row.reason} |")
    return "\n".join(lines).replace(BEGIN + "\n", BEGIN) + "\n" + END


def _name(state: State) -> str:
    return state.name.lower()


def _names(states: Iterable[State]) -> str:
    return ", ".join(map(_name, states))


def page_with(text: str) -> str:
    """Return the page with its drawn part replaced."""
    before, _, rest = text.partition(BEGIN)
    return before + drawing() + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page_with(PAGE.read_text()))
