"""`regenctl tune`: measure this machine on a sample of a root, and propose settings with the figures behind them."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from regend.cli.call import absolute, connected
from regend.cli.roots import root_named
from regend.cli.settings import toml
from regend.cli.terminal import Style, print_json, printable
from regend.cli.tuning.choosing import Run, Trial, candidates, chosen, gain_of, proposal
from regend.cli.tuning.measuring import measure
from regend.config import EmbeddingConfig, load_config
from regend.errors import PathError, RegendError, RootError, count_text
from regend.limits import MIN_TUNE_FILES
from regend.machine import this_machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

_PAGE_FILES = 1_000
_BUSY_SHARE = 0.5
"""Load of other work for each core, above which figures of a short run say little."""


def run_tune(arguments: argparse.Namespace) -> int:
    machine = this_machine()
    load = os.getloadavg()[0]
    config, remarks = _config()
    if load > _BUSY_SHARE * machine.cores:
        remarks.append(f"The machine is busy (load {load:.1f}); measure again when it is idle.")
    now = {key: config[key.partition(".")[0]][key.partition(".")[2]] for key in candidates(1, True)}
    with tempfile.TemporaryDirectory(prefix="rg-") as name:
        sample = Path(name) / "sample"
        root, files, of_files = _sampled(arguments, sample)
        has_own_batches = config["embedding"]["provider"] != "builtin"
        tried = candidates(machine.workers, has_own_batches)
        trials: list[Trial] = []
        best: dict[str, object] = {}
        measure(sample, config, {})  # The first run finds a cold machine, so it does not count.
        for key, values in tried.items():
            run = partial(_run, sample, config, dict(best), key)
            group = _trials(key, [now[key], *(value for value in values if value != now[key])], arguments.rounds, run)
            trials += group
            if not (winner := chosen(group)).is_usual:
                best[key] = winner.value
            if not arguments.json:
                print(f"{key}: {count_text(len(group), 'value')} measured", file=sys.stderr)
    about = {"root": root, "files": files, "of_files": of_files, "cores": machine.cores, "load": round(load, 2),
             "rounds": arguments.rounds}  # fmt: skip
    proposed = proposal(trials, now)
    if arguments.out:
        _write(Path(arguments.out), "\n".join(_proposal_lines(about, trials, proposed, remarks)) + "\n")
    if arguments.json:
        print_json({**about, "remarks": remarks, "proposal": proposed, "trials": [
            {"key": t.key, "value": t.value, "usual": t.is_usual, "took_s": [round(r.took_s, 3) for r in t.runs],
             "cpu_s": [round(r.cpu_s, 3) for r in t.runs]} for t in trials]})  # fmt: skip
        return 0
    style = Style.of(sys.stdout)
    for line in _proposal_lines(about, trials, proposed, remarks):
        print(style(line, "dim") if line.startswith("#") else line)
    for key, value in proposed.items():
        print(f"set it with `regenctl config set {key} {value}`", file=sys.stderr)
    return 0


def _config() -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the user's settings by table, with a model that may be measured, and what that leaves out."""
    config: dict[str, dict[str, Any]] = asdict(load_config())
    embedding = config["embedding"]
    if embedding["provider"] == "builtin":
        return config, []
    if embedding["provider"] == "onnx" or (embedding["urls"] and all(map(_is_local, embedding["urls"]))):
        embedding["role"] = "only"
        return config, []
    config["embedding"] = asdict(EmbeddingConfig())
    return config, [
        f"The {embedding['provider']} server was not asked, because it may cost money or lie elsewhere: the built-in "
        "model stood in for it, and its batches were not measured."
    ]


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")


def _sampled(arguments: argparse.Namespace, into: Path) -> tuple[str, int, int]:
    """Copy indexed files of the root, spread evenly over it; return the root, and how many of how many files.

    Raises:
        RootError: there is no such root.
        RegendError: it has too few files.
    """
    with connected(arguments) as daemon:
        if arguments.directory:
            root = root_named(arguments, arguments.directory)
        else:
            here = absolute(".")
            roots = [one["path"] for one in daemon.call("list")["roots"]]
            within = [path for path in roots if here == path or here.startswith(path.rstrip("/") + "/")]
            if not within:
                raise RootError("The working directory lies in no root; name one: `regenctl tune DIR`.")
            root = max(within, key=len)
        paths, after = [], ""
        while True:
            page = daemon.call("files", root=root, state="indexed", limit=_PAGE_FILES, after=after)
            paths += [file["path"] for file in page["files"]]
            if not (after := page["next"]):
                break
    step = max(1.0, len(paths) / arguments.files)
    copied = 0
    for number in range(min(len(paths), arguments.files)):
        path = paths[int(number * step)]
        source, copy = Path(root, path), into / path
        if source.is_symlink():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            shutil.copyfile(source, copy)
        except OSError:
            continue  # It is gone since.
        copied += 1
    if copied < MIN_TUNE_FILES:
        raise RegendError(
            f"{root} has {count_text(copied, 'file')} to measure with, and at least {MIN_TUNE_FILES} are needed; "
            "name a larger root."
        )
    return root, copied, len(paths)


def _run(sample: Path, config: dict[str, dict[str, Any]], others: dict[str, object], key: str, value: object) -> Run:
    return measure(sample, config, {**others, key: value})


def _trials(key: str, values: Sequence[object], rounds: int, run: Callable[[object], Run]) -> list[Trial]:
    """Measure each value in turn, the usual one first, in as many rounds; every other round goes backwards."""
    runs: list[list[Run]] = [[] for _ in values]
    for number in range(rounds):
        places = range(len(values))
        for place in reversed(places) if number % 2 else places:
            runs[place].append(run(values[place]))
    return [Trial(key, value, not place, tuple(runs[place])) for place, value in enumerate(values)]


def _proposal_lines(
    about: dict[str, Any], trials: list[Trial], proposed: dict[str, object], remarks: list[str]
) -> Iterator[str]:
    """Yield the proposal as TOML; comments hold the figures."""
    yield (
        f"# Measured on {count_text(about['files'], 'file')} of {about['of_files']} in {printable(about['root'])}, "
        f"{about['cores']:g} {'core' if about['cores'] == 1 else 'cores'}, load {about['load']:g}, "
        f"{count_text(about['rounds'], 'round')}."
    )
    for remark in remarks:
        yield f"# {remark}"
    yield "# setting, value: seconds to index (lowest to highest), CPU seconds; medians"
    for trial in trials:
        low, high = (end(run.took_s for run in trial.runs) for end in (min, max))
        usual = ", until now" if trial.is_usual else ""
        yield (
            f"#   {trial.key} = {toml(trial.value)}: {trial.took_s:.2f} ({low:.2f} to {high:.2f}), "
            f"CPU {trial.cpu_s:.2f}{usual}"
        )
    if not proposed:
        yield "# No other value is faster by enough; keep the settings as they are."
    for table in dict.fromkeys(key.partition(".")[0] for key in proposed):
        yield f"[{table}]"
        for key in (key for key in proposed if key.startswith(f"{table}.")):
            group = [trial for trial in trials if trial.key == key]
            won = chosen(group)
            saved = gain_of(won, next(trial for trial in group if trial.is_usual))
            yield f"{key.partition('.')[2]} = {toml(proposed[key])}  # {saved:.0%} faster"


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text)
    except OSError as error:
        raise PathError(f"{file} cannot be written: {error.strerror}.") from error
