"""The page in Chromium: keys, permanent links, filters, explanations and status; no violation of accessibility rules,
nothing in the console, no request elsewhere, and nothing wider than a window of 360 pixels.

It needs Debian's `chromium`, `node`, and the npm packages `playwright-core` and `axe-core` in the folder that
`REGEND_NPM` names. `REGEND_PICTURES=docs` keeps the pictures for the docs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from regend.gateway.token import read_token
from tests.e2e.rig import REPOSITORY, Daemon, daemon, wait_for

PACKAGES = Path(os.environ.get("REGEND_NPM", "build/npm")).absolute()
FIRST_RESULT_MS = 100.0
CHUNKS = 100_000
CHUNKS_OF_LIBRARY = 36_000
CONFIG = '[http]\nlisten = "127.0.0.1:0"\neditor_link = "vscode://file{path}:{line}"\n'
KEPT = ("page-light.png", "page-dark.png", "page-why-dark.png", "page-status-light.png")
pytestmark = pytest.mark.slow


def _fill(root: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "*.npz", "vendor")
    shutil.copytree(REPOSITORY / "regend", root, ignore=ignored)
    (root / ".regenignore").write_text("# made by a build\nbuild.*\n")
    (root / "build.log").write_text("x\n")
    (root / "large.log").write_text("x\n" * 2_000_000)


def _fill_with(root: Path, chunks: int) -> None:
    """Copy the standard library until there are so many chunks; definitions of each copy have names of their own."""
    library = Path(sysconfig.get_path("stdlib"))
    files = [path for path in sorted(library.rglob("*.py")) if "site-packages" not in path.parts]
    for number in range(1 + chunks // CHUNKS_OF_LIBRARY):
        for path in files:
            text = path.read_text(errors="surrogateescape")
            copy = root / f"part{number}" / path.relative_to(library)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(re.sub(r"\b(def|class) (\w+)", rf"\1 \2_{number}", text), errors="surrogateescape")


def _driven(what: str, served: Daemon, pictures: Path) -> dict[str, Any]:
    """Drive the page in Chromium, and return what it did."""
    chromium, node = shutil.which("chromium"), shutil.which("node")
    if not chromium or not node:
        pytest.skip("chromium or node is missing (Debian packages chromium and nodejs)")
    for package in ("playwright-core", "axe-core"):
        if not (PACKAGES / "node_modules" / package).exists():
            pytest.skip(f"the npm package {package} is not installed in {PACKAGES}")
    wait_for(lambda: bool(served.status()["http"]), "the gateway serves")
    link = f"{served.status()['http']}/?token={read_token(served.state_dir)}"
    done = subprocess.run(
        [node, str(Path(__file__).with_name("page.mjs")), what, link, str(PACKAGES), str(pictures), chromium],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    pictures = tmp_path_factory.mktemp("pictures")
    with daemon(CONFIG) as served:
        root = served.home / "src/regend"
        _fill(root)
        served.start(root)
        served.flush()
        found = _driven("views", served, pictures)
    if kept := os.environ.get("REGEND_PICTURES"):
        for name in KEPT:
            shutil.copy(pictures / name, kept)
    return found


def test_no_rule_of_accessibility_is_violated(report: dict[str, Any]) -> None:
    assert report["axe"] == []


def test_nothing_is_said_in_the_console_and_nothing_asked_elsewhere(report: dict[str, Any]) -> None:
    assert report["console"] == []
    assert report["elsewhere"] == []


def test_nothing_is_wider_than_the_window(report: dict[str, Any]) -> None:
    assert report["wide"] == []


def test_the_keys(report: dict[str, Any]) -> None:
    first, second, again = report["facts"]["keys"]
    assert first == again != second
    assert first == report["facts"]["copied"]
    assert report["facts"]["slash"] == "box"


def test_the_address_is_a_permanent_link_without_the_token(report: dict[str, Any]) -> None:
    facts = report["facts"]
    assert "token" not in facts["address"] + facts["permalink"]
    assert facts["copied"].endswith(facts["reloaded"])


def test_filters_go_into_the_box_and_out_of_it(report: dict[str, Any]) -> None:
    facts = report["facts"]
    assert ":" in facts["filtered"].removeprefix(facts["unfiltered"])
    assert "nosuchlanguage" in facts["trouble"]


def test_the_status_says_why_a_file_is_skipped(report: dict[str, Any]) -> None:
    assert "large.log" in report["facts"]["skipped"]
    assert "too_large" in report["facts"]["skipped"]
    assert report["facts"]["asked"].startswith("ignored")
    assert ".regenignore:2" in report["facts"]["asked"]


def test_without_the_token_it_says_what_to_do(report: dict[str, Any]) -> None:
    assert "regenctl http" in report["facts"]["refused"]


def test_the_first_result_comes_soon_after_the_last_key(tmp_path: Path) -> None:
    """On 100,000 chunks. The best of several rounds counts: the others measure what else the machine does."""
    with daemon(CONFIG) as served:
        root = served.home / "src/large"
        _fill_with(root, CHUNKS)
        served.start(root)
        wait_for(lambda: served.root(root)["chunks"] >= CHUNKS, "the chunks are there", 900.0)
        wait_for(lambda: bool(served.root(root)["complete"]), "everything is indexed", 900.0)
        chunks = served.root(root)["chunks"]
        rounds = _driven("speed", served, tmp_path)["latencies_ms"]
    medians = [[round(statistics.median(times), 1) for times in zip(*answers, strict=True)] for answers in rounds]
    print(f"{chunks:,} chunks; from the last key to painted results, and the search in it, medians in ms: {medians}")
    assert min(all_ms for all_ms, _ in medians) <= FIRST_RESULT_MS
