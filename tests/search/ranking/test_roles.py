"""A file that repeats others stands behind them, unless a query asks for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from regend.chunking.packing import pack
from regend.core.commands import Commit, PutFile
from regend.search.engine import Engine
from regend.search.options import SearchOptions
from regend.search.overlay import overlaid
from regend.search.query.parse import parse_query
from regend.store.base import Entry
from regend.types import GENERATED, UNSURE, ChunkedFile, blob_id
from tests.search.conftest import Corpus
from tests.search.memory import hashed_vector, split_source
from tests.search.stored import StoredCorpus
from tests.search.test_overlay import overlay

ENGLISH = "# Install\n\nInstall the server with pip install apple and run the server with apple serve."


def found(corpus: Corpus, query: str, k: int = 10) -> list[str]:
    results = Engine(hashed_vector).search(corpus.snapshot, SearchOptions(parse_query(query), k=k)).results
    return list(dict.fromkeys(result.path for result in results))


@pytest.mark.parametrize(
    ("path", "original", "text", "asked"),
    [
        ("README.ko.md", "README.md", "서버를 설치합니다", "서버를 설치"),
        ("docs/ja/guide.md", "docs/guide.md", "サーバーをインストールします", "インストール"),
        ("docs/ja/guide.md", "docs/en/guide.md", "サーバーをインストールします", "サーバー"),
        (
            "i18n/fr/guide.md",
            "docs/guide.md",
            "Comment installer le serveur après le démarrage",
            "installer le serveur",
        ),
        ("README_de.md", "README.md", "Wie man den Server installiert und ausführt", "wie installiert man den Server"),
        ("locale/ru/guide.md", "guide.md", "Установка сервера", "установка сервера"),
    ],
)
def test_a_translation_stands_behind_its_original_unless_the_query_is_in_its_language(
    corpus: Corpus, path: str, original: str, text: str, asked: str
) -> None:
    """It has the words of the query more often, as a translation with many examples does."""
    translated = f"# {text}\n\npip install apple, server, apple serve: install the server, run the server. {text}"
    files = [(path, translated, "markdown"), (original, ENGLISH, "markdown")]
    files += [(f"docs/other{n}.md", f"About topic {n}", "markdown") for n in range(5)]
    corpus.fill(corpus.add_root("/repo"), files)
    assert found(corpus, "install the server")[:2] == [original, path]
    assert found(corpus, "docs how to install and run the server")[0] == original
    assert found(corpus, asked)[0] == path
    assert found(corpus, f"{original} install")[0] == original


GUIDE = "# Contributing\n\n## Running the tests\n\nInstall tox and call it.\n"
RUNNER = "def run_tests(tests, runner):\n    # run the tests: run all tests\n    return runner.run(tests)\n"


def test_documents_come_first_where_they_are_asked_for(corpus: Corpus) -> None:
    """Code has the words of such a question more often."""
    files = [("CONTRIBUTING.md", GUIDE, "markdown"), ("src/runner.py", RUNNER, "python")]
    files += [(f"tests/test_{n}.py", RUNNER.replace("runner", f"runner{n}"), "python") for n in range(8)]
    corpus.fill(corpus.add_root("/repo"), files)
    for query in ("how do I run the tests", "docs about running tests", "where is running the tests documented"):
        assert found(corpus, query)[0] == "CONTRIBUTING.md", query
    for query in ("how does the runner run tests", "run the tests with the runner", "update the docs of run_tests"):
        assert found(corpus, query)[0] == "src/runner.py", query


@pytest.mark.parametrize("path", ["README.ko.md", "docs/zh/guide.md", "docs/id/guide.md"])
def test_a_document_without_an_original_is_no_translation(corpus: Corpus, path: str) -> None:
    root = corpus.add_root("/repo")
    corpus.fill(root, [(path, f"{ENGLISH} install", "markdown"), ("docs/other.md", "install other server", "markdown")])
    assert found(corpus, "install the server apple serve")[0] == path


def test_a_generated_file_stands_behind_what_is_written_by_hand(corpus: Corpus) -> None:
    """Its path does not tell; the same file without the mark would be first."""
    root = corpus.add_root("/repo")
    corpus.fill(root, [("src/hand.py", "def parse_header(line):\n    return line\n", "python")])
    written = overlay(
        root, "src/parse_header.py", "def parse_header(line, header):\n    # parse header\n    return 1\n"
    )
    laid = overlaid(corpus.snapshot, [written])
    made = replace(written, file=replace(written.file, degraded_reason=GENERATED))
    for query, first, then in (
        ("how to parse the header", "src/parse_header.py", "src/hand.py"),
        ("parse_header", "src/parse_header.py", "src/hand.py"),
    ):
        for snapshot, expected in ((laid, first), (overlaid(corpus.snapshot, [made]), then)):
            outcome = Engine(hashed_vector).search(snapshot, SearchOptions(parse_query(query)))
            assert outcome.results[0].path == expected, query


def test_the_mark_of_generated_files_outlives_a_restart(tmp_path: Path) -> None:
    stored = StoredCorpus(tmp_path)
    root = stored.add_root("/repo")
    text = "def parse():\n    pass\n"
    chunks, symbols = split_source(text)
    blob = blob_id(text.encode(), "python", 1)
    file = ChunkedFile(blob, UNSURE, "python", 2, tuple(chunks), tuple(symbols), degraded_reason=GENERATED)
    stored.store.apply(Commit(1, (PutFile(root, "a.py", UNSURE, blob, pack(file)),)))
    assert [entry.marks for entry in entries_of(stored)] == [GENERATED]
    stored.close()
    again = StoredCorpus(tmp_path)
    assert [entry.marks for entry in entries_of(again)] == [GENERATED]
    again.close()


def entries_of(corpus: StoredCorpus) -> list[Entry]:
    return [entry for pool in corpus.snapshot.pools.values() for entry in pool.entries.values()]


TASKS = "- name: configure the firewall\n  firewalld:\n    port: 80/tcp\n    state: enabled\n"
SCRIPT = "# Set up.\nfirewall-cmd --add-port 80/tcp\nconfigure --reload the host\necho done with the host\n"
PAGE = "# Configure the firewall\n\nHow to configure the firewall on each host.\n"


@pytest.mark.parametrize(
    ("path", "text", "language"), [("hosts/main.yml", TASKS, "yaml"), ("hosts/firewall.md", PAGE, "markdown")]
)
def test_data_and_documents_are_the_source_of_a_tree_that_is_written_in_them(
    corpus: Corpus, path: str, text: str, language: str
) -> None:
    others = [(f"hosts/other{n}.{path[-3:]}", f"# Topic {n}\n", language) for n in range(20)]
    root = corpus.add_root("/repo")
    corpus.fill(root, [(path, text, language), ("hosts/setup.sh", SCRIPT, "bash"), *others])
    assert found(corpus, "configure the firewall")[0] == path
    corpus.fill(root, [(f"src/part{n}.sh", f"echo {n}", "bash") for n in range(20)])
    assert found(corpus, "configure the firewall")[0] == "hosts/setup.sh"


def test_settings_in_hidden_folders_stay_settings(corpus: Corpus) -> None:
    files = [(f"hosts/other{n}.yml", f"- name: topic {n}\n", "yaml") for n in range(20)]
    files += [(".github/workflows/check.yml", TASKS, "yaml"), ("hosts/main.yml", TASKS + "# by hand\n", "yaml")]
    corpus.fill(corpus.add_root("/repo"), files)
    assert found(corpus, "configure the firewall")[0] == "hosts/main.yml"


@pytest.mark.parametrize(
    ("path", "text", "query"),
    [
        ("docker-compose.yml", "services:\n  web:\n    image: apple\n", "docker compose settings"),
        ("conf/mysql.ini", "[client]\nport = 3306\n", "mysql config"),
    ],
)
def test_settings_that_are_asked_for_by_name_stand_before_code_that_mentions_them(
    corpus: Corpus, path: str, text: str, query: str
) -> None:
    code = f"def apply(image):\n    # As {query.split()[0]} has it.\n    return image\n"
    files = [(f"src/part{n}.py", code + f"# {n}\n", "python") for n in range(8)]
    corpus.fill(corpus.add_root("/repo"), [(path, text, path.rpartition(".")[2].replace("yml", "yaml")), *files])
    assert found(corpus, query)[0] == path
