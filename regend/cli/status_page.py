"""The page of `regenctl status`: what is indexed, what is not and why, and the work in progress."""

from __future__ import annotations

from regend.cli.terminal import Style, bytes_text, columns, duration_text, printable, width_of
from regend.errors import count_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def status_lines(status: dict[str, Any], style: Style, width: int = 0) -> list[str]:
    """Return the lines of the status page.

    Args:
        width: of the terminal, which the table of roots keeps to; 0 for no bound.
    """
    state = _state(status)
    colour = {"paused": "yellow", "complete": "green", "incomplete": "yellow", "indexing": "cyan"}[state]
    lines = [
        f"{style('regend ' + status['version'], 'bold')}  pid {status['pid']}, up {duration_text(status['uptime_s'])}, "
        f"{style(state, colour)}, generation {status['generation']}",
        f"model    {_model(status['model'])}",
        *_embedding(status["model"], style),
        *_upgrade(status["model"], style),
        *_shared(status.get("shared") or {}, style),
        f"memory   {_memory(status)}",
        *_disk(status),
    ]
    lines += [f"{style('held back', 'yellow')}  {printable(reason)}" for reason in status.get("held_back", ())]
    lines += ["", style("roots", "bold")] + [f"  {line}" for line in _root_lines(status["roots"], style, width)]
    skipped = _skipped(status["roots"])
    if skipped:
        lines += ["", style("skipped files", "bold") + style("  (`regenctl list --files ROOT --state skipped`)", "dim")]
        lines += [f"  {line}" for line in columns([(f"{n:,}", printable(r)) for r, n in skipped], frozenset({0}))]
    if hot := status.get("hot_files"):
        lines += [
            "",
            style("hot files", "bold") + style("  (they never rest; `regenctl flush` reads them)", "dim"),
        ]
        due = [(printable(f"{h['root']}/{h['path']}"), f"read in {duration_text(h['next_look_s'])}") for h in hot]
        lines += [f"  {line}" for line in columns(due, frozenset())]
    busy = [(name, f"{depth:,}") for name, depth in status["queues"].items() if depth]
    if busy:
        lines += ["", style("queues", "bold"), "  " + ", ".join(f"{name} {depth}" for name, depth in busy)]
    if stages := {name: figures for name, figures in status["stages"].items() if figures.get("count", 1)}:
        lines += ["", style("stages", "bold")] + [f"  {line}" for line in _stage_lines(stages)]
    if status["workers"]:
        lines += ["", style("workers", "bold")]
        rows = [
            (str(w["pid"]), w["state"], bytes_text(w["rss_bytes"]), count_text(w["items"], "item"))
            for w in status["workers"]
        ]
        lines += [f"  {line}" for line in columns(rows, frozenset({0, 2, 3}))]
    return lines


def is_settled(status: dict[str, Any]) -> bool:
    """Tell whether everything is indexed, except what no waiting brings: lost roots and unreadable directories."""
    if status["complete"]:
        return True
    is_idle = not (any(status["queues"].values()) or status.get("held_back") or status.get("hot_files"))
    return is_idle and all(root["complete"] or root["state"] in ("gone", "degraded") for root in status["roots"])


def _state(status: dict[str, Any]) -> str:
    if status["paused"] or status["complete"]:
        return "paused" if status["paused"] else "complete"
    return "incomplete" if is_settled(status) else "indexing"


def _model(model: dict[str, Any]) -> str:
    rest = [f"{key} {value}" for key, value in model.items() if key != "id" and not isinstance(value, (dict, list))]
    return printable(", ".join([str(model.get("id", "unknown")), *rest]))


def _upgrade(model: dict[str, Any], style: Style) -> list[str]:
    """Return the progress of the stronger model, where one is configured."""
    upgrade = model.get("upgrade")
    if not isinstance(upgrade, dict):
        return []
    return [f"upgrade  {_model(upgrade)}", *_embedding(upgrade, style)]


def _embedding(model: dict[str, Any], style: Style) -> list[str]:
    """Return the requests to a model's servers, how full the batches were, and what the model refused."""
    lines = []
    did = model.get("provider") or {}
    servers = did.get("servers", ())
    if servers:
        counted = [count_text(did.get(f"{word}s", 0), word) for word in ("request", "token")]
        for lane, own in model.get("batches", {}).items():
            counted.append(f"{lane} batches of {own['average_items']:g} at {own['average_fill']:.0%}")
        for key, one, many in (
            ("retries", "retry", "retries"),
            ("rate_limited", "refused as too many", "refused as too many"),
            ("cut_texts", "text cut", "texts cut"),
        ):
            counted += [count_text(did[key], one, many)] if did.get(key) else []
        lines.append("         " + ", ".join(counted))
    for server in servers:
        ailing = server["refusal"] or (f"circuit breaker {server['breaker']}" if server["breaker"] != "closed" else "")
        if ailing:
            lines.append(style(f"         {printable(server['url'])}: {printable(ailing)}", "yellow"))
    for refused in model.get("refused", ())[:1]:
        said = f"{count_text(model['refused_chunks'], 'chunk')} without a vector (`regenctl why FILE`), the first: "
        lines.append(style(f"         {said}{printable(refused['reason'])}", "yellow"))
    return lines


def _shared(shared: dict[str, Any], style: Style) -> list[str]:
    """Return what is shared with other daemons, and what keeps it from being shared."""
    if not shared:
        return []
    counted = [f"{shared['reused']:,} reused", f"{shared['pushed']:,} given"]
    waiting = sum(root["waiting"] for root in shared["roots"])
    lag_s = max((root["lag_s"] for root in shared["roots"]), default=0.0)
    counted += [f"{waiting:,} waiting for {duration_text(lag_s)}"] if waiting else []
    lines = [f"shared   {printable(shared['store'])}, {', '.join(counted)}"]
    if shared["searched"] or shared["search_failures"]:
        in_memory = sum(root["in_memory"] for root in shared["roots"] if root["search"] != "here")
        asked = f"{count_text(shared['searched'], 'query', 'queries')} answered, {shared['search_failures']:,} not"
        lines.append(f"         {asked}, {count_text(in_memory, 'vector')} of its roots in memory")
    problems = [
        shared["error"],
        shared["search_error"],
        *(f"{root['path']}: {root['error']}" for root in shared["roots"] if root["error"]),
    ]
    return lines + [style(f"         {printable(problem)}", "yellow") for problem in problems if problem]


def _memory(status: dict[str, Any]) -> str:
    text = bytes_text(status["memory"].get("rss_bytes", 0))
    workers = sum(worker["rss_bytes"] for worker in status["workers"])
    return f"{text}, workers {bytes_text(workers)}" if workers else text


def _disk(status: dict[str, Any]) -> list[str]:
    """Return the size of the index on this machine's disk."""
    import os

    size_bytes = 0
    for directory, _, names in os.walk(status["state_dir"]):
        for name in names:
            try:
                size_bytes += os.lstat(f"{directory}/{name}").st_size
            except OSError:
                continue  # The daemon has replaced it meanwhile.
    return [f"disk     {bytes_text(size_bytes)} in {printable(status['state_dir'])}"] if size_bytes else []


def _root_lines(roots: list[dict[str, Any]], style: Style, width: int) -> list[str]:
    if not roots:
        return ["none; add one with `regenctl add DIR`"]
    # Columns that hold nothing but zeros say nothing.
    counts = [name for name in ("files_indexed", "files_skipped", "chunks", "pending")
              if name == "files_indexed" or any(root[name] for root in roots)]  # fmt: skip
    rows = [["", "state", *(name.removeprefix("files_") for name in counts), "watching"]]
    rows += [
        [printable(root["path"]), root["state"], *(f"{root[name]:,}" for name in counts), str(root["watching"])]
        for root in roots
    ]
    right = frozenset(range(2, 2 + len(counts)))
    table = columns(rows, right)
    paths = [""] * len(rows)
    if width and max(map(width_of, table)) > width - 2:
        paths, rows = [row[0] for row in rows], [["  ", *row[1:]] for row in rows]
        table = columns(rows, frozenset(right))
    lines = [style(table[0], "dim")]
    for path, line, root in zip(paths[1:], table[1:], roots, strict=True):
        lines += [path] if path else []
        lines.append(line if root["complete"] else style(line, "cyan"))
        if root["reason"]:
            lines.append(style(f"    {printable(root['reason'])}", "yellow"))
    return lines


def _skipped(roots: list[dict[str, Any]]) -> list[tuple[str, int]]:
    total: dict[str, int] = {}
    for root in roots:
        for reason, number in root["skipped_by_reason"].items():
            total[reason] = total.get(reason, 0) + number
    return sorted(total.items(), key=lambda item: (-item[1], item[0]))


def _stage_lines(stages: dict[str, dict[str, float]]) -> list[str]:
    names = [key for key in ("count", "p50_ms", "p95_ms", "max_ms") if any(key in s for s in stages.values())]
    rows = [("", *names)]
    for stage, figures in stages.items():
        cells = (f"{figures[n]:,.0f}" if n == "count" else f"{figures[n]:,.1f}" if n in figures else "" for n in names)
        rows.append((printable(stage), *cells))
    return columns(rows, frozenset(range(1, len(names) + 1)))


def change_line(status: dict[str, Any]) -> str:
    """Return one line about all roots, for `status --watch` without a terminal."""
    pending = sum(root["pending"] for root in status["roots"])
    indexed = sum(root["files_indexed"] for root in status["roots"])
    state = _state(status)
    roots = count_text(len(status["roots"]), "root")
    return f"{state}: {roots}, {indexed:,} indexed, {pending:,} pending, generation {status['generation']}"
