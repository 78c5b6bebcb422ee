"""The steps that paths take in the simulation, held against the core's table, and the page that is drawn from it.

`python -m tests.core.path_states` writes the drawn part of docs/states.md anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from regend.core import events as ev
from regend.core.commands import Command
from regend.core.inflight import Key
from regend.core.pipeline import Pipeline, PipelineConfig
from regend.core.states import MEANINGS, SETTLED, STEPS, State

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
        settle = self._files.settle

        def settle_and_note() -> list[int]:
            seqs = settle()
            self._note("settle")
            return seqs

        self._files.settle = settle_and_note  # type: ignore[method-assign]

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
            if not self._files.knows(key[0]):
                continue
            before, after = self._states.get(key), self.state(*key)
            if after is not before:
                self._states[key] = after
                assert any(step.allows(before, cause, after) for step in STEPS), f"{key}: {before} {cause} {after}"
                self._seen[before, cause, after] += 1


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
    lines += [f"| {state} | {MEANINGS[state]} |" for state in State]
    lines += ["", "```mermaid", "stateDiagram-v2"]
    for row in STEPS:
        if len(row.starts) > 1:
            continue  # From nearly everywhere: the table below has it, and arrows would hide the road.
        cause = ", ".join(row.causes)
        ends = dict.fromkeys("settled" if end in SETTLED else end for end in row.ends)
        lines += [f"    {row.starts[0] if row.starts else '[*]'} --> {end}: {cause}" for end in ends]
    lines += ["    state settled {", *(f"        {state}" for state in SETTLED), "    }", "```", ""]
    lines += ["| from | event or command | to | when |", "|---|---|---|---|"]
    for row in STEPS:
        starts = _any_but(row.starts) if len(row.starts) > 1 else ", ".join(row.starts) or "a root that is new"
        causes = ", ".join(f"`{cause}`" for cause in row.causes) or "any"
        lines.append(f"| {starts} | {causes} | {', '.join(row.ends)} | {row.reason} |")
    return "\n".join(lines).replace(BEGIN + "\n", BEGIN) + "\n" + END


def _any_but(states: tuple[State, ...]) -> str:
    return "any but " + ", ".join(state for state in State if state not in states)


def page_with(text: str) -> str:
    """Return the page with its drawn part replaced."""
    before, _, rest = text.partition(BEGIN)
    return before + drawing() + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page_with(PAGE.read_text()))
