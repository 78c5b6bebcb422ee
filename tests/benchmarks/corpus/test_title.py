"""Changelog entries that name a commit or pull request ask for its source files, unless they repeat its subject."""

from __future__ import annotations

import pytest

from benchmarks.corpus.kinds import title
from tests.benchmarks.corpus.material import asked, material_of

FILES = {"src/a.py": "a = 1\n", "src/b.py": "b = 1\n"}
COMMITS = (
    ("abc1234" + "0" * 33, "Refuse line feeds (#12)", ("src/a.py", "tests/test_a.py")),
    ("def5678" + "0" * 33, "Pool sockets", ("src/b.py",)),
)
WANTED = "Headers with a newline inside were accepted"


@pytest.mark.parametrize(
    "entry",
    [
        f"- {WANTED} (#12)",
        f"* {WANTED}. ([#12](https://github.com/owner/name/pull/12)) by @ann",
        f"* {WANTED} by @ann in https://github.com/owner/name/pull/12",
        f"1. {WANTED}, thanks @ann (#12). It took years.",
        f"- `#12 <https://github.com/owner/name/issues/12>`_: {WANTED}",
        f"- {WANTED}, closes [#12](https://github.com/owner/name/issues/12) ([abc1234](https://github.com/x/y))",
        "- Headers with a newline\n  inside were accepted. :issue:`12`",
        f"- Thanks [@ann](https://github.com/ann)! - {WANTED} (#12)",
        f"- {WANTED} (#12, Ann Other)",
        f"- {WANTED} ([abc1234](https://github.com/owner/name/commit/abc1234))",
    ],
)
@pytest.mark.parametrize("log", ["CHANGELOG.md", "docs/changes.rst", "History.md", "NEWS", "packages/x/CHANGELOG.md"])
def test_entries(entry: str, log: str) -> None:
    text = f"# Changes\n\n## 1.2\n\n- Something else altogether happened here\n{entry}\n- And more\n"
    assert asked(title.questions, material_of({**FILES, log: text}, *COMMITS)) == {WANTED: ("src/a.py",)}


@pytest.mark.parametrize(
    "entry",
    [
        "- Refuse line feeds (#12)",
        f"- {WANTED} (#13)",
        f"- {WANTED} (other/name#12)",
        f"- {WANTED} in https://github.com/other/name/pull/12",
        f"- {WANTED} ([#12](https://github.com/other/name/pull/12))",
        f"- {WANTED} (#12, def5678)",
        "- Fix bug (#12)",
        "- @ann made their first contribution in #12",
        "- Fix typos in all the header documentation (#12)",
        f"{WANTED} (#12)",
    ],
)
def test_entries_that_ask_for_nothing(entry: str) -> None:
    assert asked(title.questions, material_of({**FILES, "CHANGELOG.md": f"# 1.2\n\n{entry}\n"}, *COMMITS)) == {}


def test_other_documents_are_no_changelogs() -> None:
    assert asked(title.questions, material_of({**FILES, "docs/exchange.md": f"- {WANTED} (#12)\n"}, *COMMITS)) == {}
