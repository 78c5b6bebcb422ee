"""`python -m benchmarks tokens`: how much an agent reads until it has the answer, with regend, ripgrep and semble.

A tool hands an agent passages in an order, and each passage costs its tokens, by one estimate for all of them. A target
is found as soon as one of its lines was read; where a question's target is a whole file, any line of it counts.

regend is asked once for each budget. With ripgrep the agent asks for each relevant word of the question, takes the
files that hold most of them, the most matches first, and reads each from its first line. That is kind to ripgrep: its
own output costs nothing here. semble gives its chunks in their order.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks import plot, semble
from benchmarks.annotations import Question, Repository, load, table
from benchmarks.daemons import PrivateDaemon, private_daemon
from benchmarks.metrics import Found, Target, hits
from regend.chunking.decoding import decode
from regend.chunking.tokens import estimate_tokens, query_terms
from regend.embedding.registry import local_encoder
from regend.limits import MAX_RESULTS
from regend.rpc.client import Client

BUDGETS = (500, 1_000, 2_000, 4_000, 8_000)
READ_LINES = 2_000
"""Lines of a file that an agent reads at most."""
_READ_FILES = 60
_COUNTED = re.compile(r"(?:\./)?([^\0]+)\0(\d+)\n")
"""A file and its matches, as ripgrep prints them."""


class Passage(NamedTuple):
    """Lines as an agent reads them; the first one stands below a heading that costs tokens, too."""

    path: str
    first: int
    lines: Sequence[str]


@dataclass(slots=True)
class Figures:
    """Results of one tool.

    Attributes:
        recall: for each question, the share of its targets that was found within each of `BUDGETS`.
        answered: for each question, whether at least one was.
    """

    recall: list[tuple[float, ...]]
    answered: list[tuple[bool, ...]]

    def add(self, targets: Sequence[Target], costs: Sequence[Mapping[Target, int]]) -> None:
        """Note a question.

        Args:
            costs: for each budget, the tokens that were read when a target was found, of those that were.
        """
        found = [
            sum(cost.get(target, budget + 1) <= budget for target in targets)
            for budget, cost in zip(BUDGETS, costs, strict=True)
        ]
        self.recall.append(tuple(count / len(targets) for count in found))
        self.answered.append(tuple(count > 0 for count in found))


def reading(passages: Iterable[Passage], targets: Sequence[Target], most: int = BUDGETS[-1]) -> dict[Target, int]:
    """Return the tokens that were read when the first line of each target was, of those found within `most`."""
    found: dict[Target, int] = {}
    spent = 0
    for passage in passages:
        last = passage.first + len(passage.lines) - 1
        text = f"{passage.path}:{passage.first}-{last} \n"
        here = Found(passage.path, passage.first, max(passage.first, last))
        for target in targets:
            if target not in found and hits(here, target):
                before = max(0, target.start_line - passage.first)
                found[target] = spent + estimate_tokens("\n".join((text, *passage.lines[: before + 1])))
        spent += estimate_tokens("\n".join((text, *passage.lines)))
        if spent > most or len(found) == len(targets):
            break
    return {target: cost for target, cost in found.items() if cost <= most}


def of_regend(daemon: PrivateDaemon, repository: Repository, sample: int) -> Figures:
    """Ask the daemon for an answer within each budget."""
    figures = Figures([], [])
    with Client(daemon.socket) as client:
        for question in asked(repository, sample):
            costs = []
            for budget in BUDGETS:
                answer = client.call(
                    "search", query=question.text, root=str(repository.directory), k=MAX_RESULTS, budget=budget
                )
                passages = [
                    Passage(repository.full_path(result["path"]), part["snippet_line"], part["snippet"].split("\n"))
                    for result in answer["results"]
                    for part in (result, *result["also"])
                ]
                costs.append(reading(passages, question.targets, budget))
            figures.add(question.targets, costs)
    return figures


def of_ripgrep(repository: Repository, sample: int) -> Figures:
    """Let ripgrep find the files, and read them."""
    figures = Figures([], [])
    for question in asked(repository, sample):
        order = matching_files(repository.directory, question.text)[:_READ_FILES]
        passages = (
            Passage(repository.full_path(path), 1, _text(repository.directory / path).splitlines()[:READ_LINES])
            for path in order
        )
        figures.add(question.targets, [reading(passages, question.targets)] * len(BUDGETS))
    return figures


def of_semble(index: semble.SembleIndex, repository: Repository, sample: int, mode: str) -> Figures:
    """Read semble's chunks."""
    figures = Figures([], [])
    for question in asked(repository, sample):
        passages = [
            Passage(repository.full_path(path), first, text.split("\n"))
            for path, first, text in index.passages(question.text, mode, MAX_RESULTS)
        ]
        figures.add(question.targets, [reading(passages, question.targets)] * len(BUDGETS))
    return figures


def matching_files(directory: Path, question: str) -> list[str]:
    """Return the files that ripgrep finds: most of the question's words first, then most matches, then by path."""
    words = {word for word in re.findall(r"\w+", question.lower()) if query_terms(word)}
    held: Counter[str] = Counter()
    matches: Counter[str] = Counter()
    for word in sorted(words):
        done = subprocess.run(
            ("rg", "--count-matches", "--null", "--ignore-case", "--fixed-strings", "-e", word, "."),
            cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode > 1:
            raise SystemExit(f"ripgrep failed on {word!r} in {directory}: {done.stderr.decode(errors='replace')[:200]}")
        for path, count in _COUNTED.findall(done.stdout.decode(errors="surrogateescape")):
            held[path] += 1
            matches[path] += int(count)
    return sorted(held, key=lambda path: (-held[path], -matches[path], path))


def _text(file: Path) -> str:
    try:
        return decode(file.read_bytes()).text
    except OSError:
        return ""


def asked(repository: Repository, sample: int) -> Sequence[Question]:
    """Return `sample` questions of a repository, evenly spread; all of them for 0."""
    questions = repository.questions
    if not 0 < sample < len(questions):
        return questions
    return [questions[n * len(questions) // sample] for n in range(sample)]


def run(file: Path, checkouts: Path, only: Sequence[str], sample: int, state_dir: Path | None, out: Path | None) -> str:
    """Measure all tools that are there; returns the tables.

    Args:
        sample: questions of each repository; 0 for all.
        out: where the plot goes, as SVG.
    """
    repositories = load(file, checkouts, only)
    tools: dict[str, Figures] = {}
    notes = []

    def note(tool: str, figures: Figures) -> None:
        known = tools.setdefault(tool, Figures([], []))
        known.recall += figures.recall
        known.answered += figures.answered

    with private_daemon() as daemon:
        if state_dir is not None:
            daemon.state_dir = state_dir.resolve()
        daemon.start(*(repository.directory for repository in repositories))
        daemon.flush()
        for repository in repositories:
            note("regend", of_regend(daemon, repository, sample))
        daemon.stop()
    if shutil.which("rg") is None:
        notes.append("ripgrep is not installed; Debian's package is ripgrep.")
    else:
        for repository in repositories:
            note("ripgrep and reading", of_ripgrep(repository, sample))
    if missing := semble.missing():
        notes.append(missing)
    else:
        encoder = local_encoder()
        for repository in repositories:
            index = semble.SembleIndex(repository.directory, encoder)
            for mode in semble.MODES:
                note(mode, of_semble(index, repository, sample, mode))
    recall = {tool: _means(figures.recall) for tool, figures in tools.items()}
    if out is not None:
        ticks = [f"{budget:,}" for budget in BUDGETS]
        out.write_text(plot.lines("Share of the right places read within so many tokens", ticks, recall), "utf-8")
    columns = [f"{budget:,}" for budget in BUDGETS]
    answered = {tool: _means(figures.answered) for tool, figures in tools.items()}
    count = len(next(iter(tools.values())).recall)
    parts = [
        table("recall within tokens", columns, recall.items()),
        table("answered within tokens", columns, answered.items()),
        f"{count} questions over {len(repositories)} repositories",
    ]
    return "\n\n".join([*parts, *notes])


def _means(rows: Sequence[Sequence[float]]) -> list[float]:
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]
