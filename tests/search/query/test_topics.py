"""Which questions are about the project itself, and which files answer them: generated from the table, and by hand."""

from __future__ import annotations

import tomllib
from importlib import resources
from itertools import product

import pytest

from regend.search.query.asked.topics import FILE, Topic, topic_of, topics
from regend.search.query.words import file_role

TABLE = tomllib.loads(resources.files("regend.search.query.asked").joinpath(FILE).read_text("utf-8"))
FORMS = ("{}", "Where is the {}?", "show me the {} of this project", "what are our {}")
ASKED = {
    "license": ("which license is this under", "Am I allowed to redistribute this?", "licence"),
    "changes": ("what changed in the last release?", "release notes", "which features are deprecated in this version"),
    "releasing": ("how is a new version released", "release checklist"),
    "contributing": (
        "how can I contribute",
        "what should I do before opening a pull request",
        "contribution guidelines",
    ),
    "conduct": ("code of conduct", "what happens if someone breaks the community guidelines"),
    "security": ("how do I report a security vulnerability", "which versions get security fixes"),
    "ci": ("which checks does CI run", "GitHub Actions workflows", "continuous integration configuration"),
    "issue_templates": ("issue template for bug reports", "which labels are put on new issues"),
    "pull_request_templates": ("what does the pull request template look like",),
    "code_owners": ("who maintains this project?", "code owners", "list of contributors"),
    "dependencies": ("what are the dependencies", "list third-party dependencies", "which packages are required"),
    "versions": ("Which Python version is required?", "minimum supported Rust version", "node version"),
    "containers": ("docker image", "where is the Dockerfile", "docker compose setup"),
    "linting": ("linter configuration", "pre-commit hooks", "how do we indent?"),
    "test_configuration": ("test configuration",),
    "build": ("how is this project built", "makefile targets", "available npm scripts"),
    "architecture": ("architecture overview", "how is the codebase organised?", "project structure"),
    "examples": ("usage examples", "is there a sample app"),
    "benchmarks": ("benchmarks", "where are the perf tests"),
    "documentation": ("user guide", "where are the docs"),
    "environment": ("example env file", "show me a sample .env"),
    "ignored": ("which files are ignored by git", "gitignore"),
    "funding": ("how can I sponsor this project",),
    "deployment": ("kubernetes manifests", "how is this deployed"),
    "tests": ("where are the unit tests", "test suite"),
    "overview": ("what does this project do", "tell me what this repo is about", "project overview"),
}
OF_CODE = (
    "how is the license key validated", "where does the workflow engine schedule jobs", "parse the changelog format",
    "resolve dependencies in topological order", "docker client retries", "security policy evaluation",
    "benchmark timer resolution", "how are dependencies injected", "inject dependencies", "dependencies", "repository",
    "update dependencies", "fix tests on windows", "where is the documentation generated", "released", "maintained",
    "how are test cases discovered", "release the lock", "build query", "architecture of the parser",
    "contributor model", "deploy command", "load environment variables", "run tests", "how do I run the tests", "",
)  # fmt: skip
PATHS = {
    "license": (("LICENSE", "COPYING.LESSER", "LICENSE-MIT", "licenses/MIT.txt"), ("src/license.py", "licenser.md")),
    "changes": (("CHANGELOG.md", "NEWS", "docs/releases/5.2.txt", "changelog.d/12.md"), ("src/changes.py",)),
    "releasing": (("RELEASING.md", ".github/workflows/release.yml", "scripts/release.sh"), ("src/release.py",)),
    "contributing": (("CONTRIBUTING.md", ".github/CONTRIBUTING.md", "HACKING"), ("src/develop.py",)),
    "conduct": (("CODE_OF_CONDUCT.md", "docs/code-of-conduct.rst"), ("conductor.py",)),
    "security": (("SECURITY.md", ".github/SECURITY.md"), ("src/security.py", "security/login.md")),
    "ci": (
        (".github/workflows/a.yml", ".gitlab-ci.yml", "Jenkinsfile", ".circleci/config.yml", ".ci/run", "ci/a.sh"),
        ("ci.py",),
    ),
    "issue_templates": ((".github/ISSUE_TEMPLATE/bug.yml", ".github/issue_template.md"), ("src/issue.py",)),
    "pull_request_templates": ((".github/PULL_REQUEST_TEMPLATE.md", "pull_request_template.md"), ("src/pull.py",)),
    "code_owners": ((".github/CODEOWNERS", "MAINTAINERS.md", "AUTHORS"), ("src/owners.py",)),
    "dependencies": (("package.json", "go.mod", "a/b.csproj", "requirements/dev.txt", "x.cabal"), ("src/go.py",)),
    "versions": ((".nvmrc", "rust-toolchain.toml", "pyproject.toml"), ("src/version.py",)),
    "containers": (("Dockerfile", "docker/dev.Dockerfile", "compose.yaml", ".devcontainer/a.json"), ("docker.go",)),
    "linting": ((".eslintrc.json", "ruff.toml", ".clang-format", ".rubocop.yml"), ("src/lint.py",)),
    "test_configuration": (("pytest.ini", "jest.config.js", "phpunit.xml.dist"), ("tests/test_a.py",)),
    "build": (("Makefile", "CMakeLists.txt", "build.gradle.kts", "vite.config.ts"), ("src/build.py",)),
    "architecture": (("ARCHITECTURE.md", "docs/adr/0001-x.md"), ("src/architecture.py",)),
    "examples": (("examples/a/b.py", "demo/main.c"), ("src/example.py/x.py",)),
    "benchmarks": (("bench/a.rs", "benchmarks/run.py", "src/parse_bench.go"), ("src/parse.go",)),
    "documentation": (("docs/index.md", "doc/a/b.rst"), ("src/docs.py",)),
    "environment": ((".env.example", "config.sample.yml"), ("src/env.py",)),
    "ignored": ((".gitignore", "a/.dockerignore"), ("src/ignore.py",)),
    "funding": ((".github/FUNDING.yml", "SPONSORS.md"), ("src/funding.py",)),
    "deployment": (("k8s/app.yaml", "charts/a/Chart.yaml", "Procfile"), ("src/deploy/run.go.tmpl",)),
    "tests": (("tests/test_a.py", "a_test.go"), ("src/a.py",)),
    "overview": (("README.md", "docs/readme.rst", "README"), ("src/readme.py", "readme_parser.md.py")),
}


def phrases(name: str, key: str) -> list[str]:
    return [" ".join(phrase.split()) for phrase in TABLE[name].get(key, "").split(",") if phrase.strip()]


@pytest.mark.parametrize("name", TABLE)
def test_what_asks_by_itself_does_in_any_form(name: str) -> None:
    for line, form in product(phrases(name, "alone"), FORMS):
        text = form.format(line)
        if " " in text or line in TABLE[name]["words"].split():
            found = topic_of(text)
            assert found is not None and found.name == name, text


@pytest.mark.parametrize("name", TABLE)
def test_each_topic_is_asked_for_in_people_s_words(name: str) -> None:
    for text in ASKED[name]:
        found = topic_of(text)
        assert found is not None and found.name == name, text


@pytest.mark.parametrize("text", OF_CODE)
def test_other_questions_are_about_code(text: str) -> None:
    assert topic_of(text) is None


def test_a_single_word_is_that_of_a_file() -> None:
    for word in ("licensed", "maintain", "harassment", "formatted", "test_files", "NEW_VERSION"):
        assert topic_of(word) is None, word


def test_words_that_code_has_too_need_a_question() -> None:
    for name in TABLE:
        for line in phrases(name, "asked"):
            found = topic_of(f"what about {line}")
            assert found is not None, line


@pytest.mark.parametrize("topic", topics(), ids=lambda topic: topic.name)
def test_files_tell_of_a_topic_by_their_paths(topic: Topic) -> None:
    fitting, others = PATHS[topic.name]
    for path in fitting:
        own, below = (topic.answer(each, file_role(each)) for each in (path, f"parts/one/{path}"))
        assert 1.0 >= own > below > 0.0, path
    for path in others:
        assert topic.answer(path, file_role(path)) == 0.0, path


def test_hostile_paths_take_no_time() -> None:
    for path in ("a/" * 2_000, "docs/" * 800 + "x", "bench" * 800, "-" * 4_000, "examples/" * 450 + "\n"):
        for topic in topics():
            assert 0.0 <= topic.answer(path, "prose") <= 1.0
