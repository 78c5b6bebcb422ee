"""A question about the project may call it by its name, whatever that is, and is understood as without it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest

from regend.search.legs.own_names import MANIFESTS, ProjectNames
from regend.search.query.asked.documents import asks_for_documents
from regend.search.query.asked.own_name import as_this_project, folder_names
from regend.search.query.asked.topics import topic_of
from tests.search.conftest import Corpus
from tests.search.query.test_topics import ASKED
from tests.search.test_literal import found

NAMES = ("celery", "clj-kondo", "data.table", "riak_core", "ReactiveObjC", "Pluto.jl", "7zip", "ölpfad")
ABOUT = (
    "how do I run the {} tests", "how to build {} from source", "how do I install {} locally",
    "getting started with {}", "which license is {} under?", "Which checks does {} run in CI", "what is {}",
    "What does {} do?", "{} changelog", "how does {} work", "tell me about {}", "what are {}'s dependencies",
    "how do I debug {}", "{} linter configuration", "how can I contribute to {}", "{} release process",
    "{} architecture", "who maintains {}", "explain {}",
)  # fmt: skip
OF_CODE = (
    "{}", "where is {}", "{} worker", "show {} code", "class {}", "{} configuration", "how does {} retry a task",
    "import {}", "{} error handling", "what is {}.app", "what is {}/app", "what is my{}", "what is {}_app", "why {}",
    "how to install a package with {}", "how do I run tests using {}", "how is a project built by {}",
    "how do I start the {} worker pool in a thread", "what does {}() return", "what is @{}", "{}-beat changelog",
)  # fmt: skip


def understood(text: str) -> tuple[bool, str]:
    topic = topic_of(text)
    return asks_for_documents(text), topic.name if topic else ""


@pytest.mark.parametrize("name", NAMES)
def test_the_name_says_nothing(name: str) -> None:
    names = folder_names(f"/src/{name}", f"/src/{name}/.git")
    for form, spelt in product(ABOUT, (name, name.upper(), name.replace("-", " ").replace("_", "-"))):
        text = form.format(spelt)
        understood_as = as_this_project(text, names)
        assert any(understood(understood_as)), text
        assert not any(understood(text)) or understood_as == text
    for form in OF_CODE:
        assert as_this_project(form.format(name), names) == form.format(name)


@pytest.mark.parametrize("topic", ASKED)
def test_a_question_of_each_topic_is_the_same_with_the_name(topic: str) -> None:
    names = folder_names("/src/celery", "/src/celery")
    for text in ASKED[topic]:
        assert as_this_project(text, names) == text
        for named in (text.replace("this project", "celery"), text.replace("the codebase", "celery")):
            assert understood(as_this_project(named, names))[1] == topic, named


@pytest.mark.parametrize(
    ("path", "pool_key", "names"),
    [
        ("/src/celery", "/src/celery/.git", {"celery"}),
        ("/trees/fix-12", "/src/celery/.git", {"fix-12", "celery"}),
        ("/trees/fix", "/src/celery.git", {"fix", "celery.git", "celery"}),
        ("/trees/fix", "/src/celery/.bare", {"fix", "celery"}),
        ("/src/django-5.2.19", "/src/django-5.2.19", {"django-5.2.19", "django"}),
        ("/src/flask-main", "/src/flask-main", {"flask-main", "flask"}),
        ("/src/Pluto.jl", "/src/Pluto.jl", {"Pluto.jl", "Pluto"}),
        ("/", "/", set()),
        ("/r", "/r", set()),
    ],
)
def test_the_folder_names_a_project(path: str, pool_key: str, names: set[str]) -> None:
    assert folder_names(path, pool_key) == names


@pytest.mark.parametrize("name", ["___", "(+", "..", "a|b", "[x", "\\d"])
def test_any_name_of_a_folder_will_do(name: str) -> None:
    names = folder_names(f"/src/{name}", f"/src/{name}")
    assert as_this_project("what is there to do", names) == "what is there to do"


def project(corpus: Corpus, path: str, pool: int = 1, more: Sequence[tuple[str, str, str]] = ()) -> None:
    used = "# celery celery: what celery is, how celery tests run, which license celery has, celery changelog\n"
    files = [
        (f"src/use_{at}.py", f"{used}def use_{at}():\n    return celery.run(test)\n", "python") for at in range(30)
    ]
    files += [
        ("README.md", "# Tasks\n\nA queue of tasks.\n", "markdown"),
        ("CONTRIBUTING.md", "# Contributing\n\n## Running the tests\n\nRun make to run the tests.\n", "markdown"),
        ("LICENSE", "Permission is hereby granted.\n", "text"),
        ("CHANGELOG.md", "# 5.0\n\nFaster.\n", "markdown"),
    ]
    corpus.fill(corpus.add_root(path, pool), [*files, *more])


def test_such_questions_find_the_files_that_tell(corpus: Corpus) -> None:
    project(corpus, "/src/celery")
    for text, path in (
        ("how do I run the celery tests", "CONTRIBUTING.md"),
        ("what is celery", "README.md"),
        ("which license is Celery under", "LICENSE"),
        ("celery changelog", "CHANGELOG.md"),
    ):
        assert found(corpus, text)[0][0] == path, text
    assert found(corpus, "celery")[0][0].startswith("src/")


POOL = "pool-1"
"""Folder of the repository in one of the corpora."""
MANIFEST_TEXTS = {
    "Cargo.toml": '[package]\nname = "celery"\nversion = "1"\n',
    "Project.toml": 'name = "Celery"\nuuid = "1"\n',
    "pyproject.toml": '[build-system]\nrequires = []\n\n[project]\nname = "celery"\n',
    "gleam.toml": 'name = "celery"\n',
    "composer.json": '{\n  "name": "acme/celery"\n}\n',
    "deno.json": '{"name": "@acme/celery"}\n',
    "elm.json": '{\n  "name": "acme/celery"\n}\n',
    "package.json": '{\n  "private": true,\n  "name": "@acme/celery"\n}\n',
    "settings.gradle": "rootProject.name = 'celery'\n",
    "settings.gradle.kts": 'rootProject.name = "celery"\n',
    "CMakeLists.txt": "cmake_minimum_required(VERSION 3.1)\nproject(celery LANGUAGES C)\n",
    "DESCRIPTION": "Package: celery\nTitle: Tasks\n",
    "MODULE.bazel": 'module(\n    name = "celery",\n)\n',
    "Package.swift": 'let package = Package(\n    name: "celery"\n)\n',
    "build.sbt": 'name := "celery"\n',
    "build.zig.zon": ".{\n    .name = .celery,\n}\n",
    "dune-project": "(lang dune 3.0)\n(name celery)\n",
    "go.mod": "module example.org/acme/celery/v2\n\ngo 1.22\n",
    "meson.build": "project('celery', 'c')\n",
    "mix.exs": "def project do\n  [app: :celery]\nend\n",
    "pom.xml": "<project>\n  <name>Celery</name>\n</project>\n",
    "project.clj": '(defproject acme/celery "1.0")\n',
    "pubspec.yaml": "name: celery\n",
    "setup.cfg": "[metadata]\nname = celery\n",
    "setup.py": 'setup(\n    name="celery",\n)\n',
    "shard.yml": "name: celery\n",
}


@pytest.mark.parametrize("file", MANIFESTS)
def test_the_manifest_names_a_project(corpus: Corpus, file: str) -> None:
    """The folder may be called anything."""
    project(corpus, "/src/work", more=[(file, MANIFEST_TEXTS[file], "text")])
    assert found(corpus, "what is celery")[0][0] == "README.md"
    assert found(corpus, "how do I run the celery tests")[0][0] == "CONTRIBUTING.md"


@pytest.mark.parametrize("name", ["app", "@acme/server", "x", ""])
def test_a_name_that_any_part_may_have_names_no_project(corpus: Corpus, name: str) -> None:
    project(corpus, "/src/main", more=[("package.json", f'{{"name": "{name}"}}\n', "json")])
    assert found(corpus, "what is celery")[0][0].startswith("src/")
    (root,) = corpus.snapshot.roots.values()
    assert ProjectNames().of(corpus.snapshot, root) <= {POOL}


def test_a_manifest_that_changed_is_read_again(corpus: Corpus) -> None:
    project(corpus, "/src/work", more=[("package.json", '{"name": "other"}\n', "json")])
    names = ProjectNames()
    (root,) = corpus.snapshot.roots.values()
    for _ in range(2):
        assert names.of(corpus.snapshot, root) - {POOL} == {"work", "other"}
    corpus.fill(root.root, [("package.json", '{"name": "celery"}\n', "json")])
    assert names.of(corpus.snapshot, root) - {POOL} == {"work", "celery"}


def test_a_name_of_one_of_several_projects_stays(corpus: Corpus) -> None:
    project(corpus, "/src/celery")
    corpus.fill(corpus.add_root("/src/other", pool=2), [("LICENSE", "Permission is granted.\n", "text")])
    assert found(corpus, "which license is celery under")[0][0].startswith("src/")
