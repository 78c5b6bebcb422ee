"""Subjects of commits, a third of them with the beginning of the message -> the source files that were changed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from benchmarks.corpus.material import Material, Question, lot
from benchmarks.corpus.mirrors import Commit
from benchmarks.corpus.prose import content_words, normalised, opening_sentences, without_references
from benchmarks.corpus.sources import is_source

LIMIT = 40
_MAX_TARGETS, _MAX_CHANGED = 3, 8
_WORDS = 3
_BOT = re.compile(
    r"\[bot\]|\bbot\b|dependabot|renovate|greenkeeper|github[- ]actions?|pre-commit-ci|snyk|steward|semantic-release|"
    r"weblate|transifex|mergify|imgbot|codecov|travis|jenkins|circleci|buildkite",
    re.IGNORECASE,
)
_CHORE = re.compile(
    r"^(?:merge|revert|back ?out|bump|release|prepare|version|v?\d+\.\d+|wip\b|fixup!|squash!|amend!|back to dev|"
    r"post-release|start(?:ing)? (?:next|dev|v?\d)|next (?:dev|version)|tag(?:ging)?\b|cut(?:ting)?\b|begin|initial|"
    r"document\w*\b|(?:add|fix|improve|update|write|more|extra)\w* (?:[\w-]+ ){0,2}tests?\b|"
    r"first commit|init\b|import(?:ed)? from|sync\b|backport|cherry|oops|more\b|misc|address(?:ed)? (?:review|comments|"
    r"feedback|pr\b)|review (?:comments|feedback)|pr (?:comments|feedback)|code review|tweaks?\b|nits?\b|cosmetics?\b|"
    r"clean[- ]?ups?$|(?:docs?|test|tests|style|ci|build|release|chore|website|examples?|deps|lint|fmt|typo|typos|"
    r"license|changelog|readme|i18n)(?:\([^)]*\))?!?:)|"
    r"\b(?:typos?|reformat\w*|rubocop|clippy|eslint|tslint|prettier|gofmt|gofumpt|golint|golangci\w*|rustfmt|cargo fmt|"
    r"flake8|pylint|pyflakes|mypy|isort|ruff|pyupgrade|autopep8|pep ?8|clang-(?:format|tidy)|credo|scalafmt|scalafix|"
    r"ktlint|detekt|swiftlint|swiftformat|php-?cs(?:-?fixer)?|phpstan|psalm|phpcs|ocamlformat|hlint|stylua|luacheck|"
    r"shellcheck|dialyzer|checkstyle|spotless|stylecop|standardrb|biome|oxlint|dartfmt|(?:dart|mix) format|"
    r"cod(?:e|ing) ?style|style fix(?:es)?|misspell\w*|trailing (?:white)?(?:space|comma)s?|line endings?|newlines? at|"
    r"unused (?:imports?|variables?|includes?)|lint(?:er|ing)? (?:errors?|warnings?|issues?|fix\w*)|fix\w* lint\w*|"
    r"copyright|licen[cs]es?(?: headers?)?|change ?logs?|readme|release notes|"
    r"dependenc(?:y|ies) (?:up|bump|version)\w*|(?:up|bump)\w* (?:\w+ )?dependenc\w*|devdependenc\w+|"
    r"lock ?file|bump(?:ed|s|ing)?|version (?:number|bump|to)|"
    r"(?:new|next) version|snapshot version|gem ?spec|nightly|travis|appveyor|github actions?|codecov|regenerat\w+|"
    r"auto-?generated|generated (?:code|files?)|translations?|code review|review comments?|"
    r"(?:java|php|kd|scala|hex)?docs|(?:java|kd|scala)doc|docstrings?|documentation|doc ?(?:comment|string)s?|"
    r"(?:add|update|fix|improve|remove|clarif|correct|expand|more|extra|some|better|explanatory|outdated|stale|"
    r"misleading)\w* (?:[\w-]+ ){0,2}comments?)\b",
    re.IGNORECASE,
)
"""Work whose subject does not say where to look: form, versions, and what stands beside the code."""
_FORM = re.compile(
    r"\b(?:white ?spaces?|format(?:ting)?|indent(?:ation|ed|ing)?|spelling|grammar|wording|semicolons?|comments?|ci|"
    r"coverage|workflows?|line length|warnings?|doc|todos?|dependenc(?:y|ies)|deps)\b",
    re.IGNORECASE,
)
"""The same, if little else is said."""
_FORM_WORDS = 6
_PREFIX = re.compile(r"^\w+(?:\([^)]*\))?!?:\s*")
_UPGRADE = re.compile(
    r"\b(?:upgrade|update|bump|move|switch)\w*\b.*\b(?:to|->|from)\s+(?:[\w.-]+ )?v?\d|\bv?\d+\.\d+\.\d+",
    re.IGNORECASE,
)


def questions(material: Material) -> list[Question]:
    """Ask up to `LIMIT` questions, spread evenly over the commits that can be asked about."""
    found = list(_usable(material))
    times = Counter(normalised(subject) for subject, _, _ in found)
    found = [one for one in found if times[normalised(one[0])] == 1]
    if not found:
        return []
    count = min(LIMIT, len(found))
    asked = []
    for turn in range(count):
        span = found[turn * len(found) // count : (turn + 1) * len(found) // count]
        span.sort(key=lambda one: lot(material.name, "commit", one[2].object_id))
        # Every third question has a second sentence where one of the span's messages has.
        subject, sentence, commit = next((one for one in span if one[1]), span[0]) if turn % 3 == 2 else span[0]
        if turn % 3 == 2 and sentence:
            subject = f"{subject.rstrip('.')}. {sentence}"
        asked.append(Question(subject, source_files(material, commit), commit.object_id))
    return asked


def _usable(material: Material) -> Iterator[tuple[str, str, Commit]]:
    """Yield (subject, opening of the message, commit)."""
    for commit in material.commits:
        if not source_files(material, commit) or _BOT.search(commit.author):
            continue
        subject = cleaned_subject(commit.subject, material.name.partition("+")[2])
        if subject:
            opening = opening_sentences(commit.body)
            yield subject, "" if normalised(opening).startswith(normalised(subject)) else opening, commit


def cleaned_subject(subject: str, own_name: str) -> str:
    """Take references out of a subject; return "" for one that asks for nothing.

    Args:
        own_name: what the repository is called.
    """
    cut = subject.rstrip().endswith(("…", "..."))
    text = without_references(subject)
    # A formatter's own name is no chore in its repository.
    judged = re.sub(re.escape(own_name), "it", text, flags=re.IGNORECASE)
    if cut or len(text) > 160 or _CHORE.search(judged) or _UPGRADE.search(judged):
        return ""
    if len(text.split()) <= _FORM_WORDS and _FORM.search(judged):
        return ""
    return text if len(content_words(_PREFIX.sub("", text))) >= _WORDS else ""


def source_files(material: Material, commit: Commit) -> tuple[str, ...]:
    """Return the source files that a commit changed, or nothing where they are too many or one is no longer there."""
    if len(commit.changed) + len(commit.removed) > _MAX_CHANGED:
        return ()
    changed = [path for path in commit.changed if is_source(path) or path in material.source_set]
    gone = any(is_source(path) for path in commit.removed)
    if gone or not 0 < len(changed) <= _MAX_TARGETS or not material.source_set.issuperset(changed):
        return ()
    return tuple(sorted(changed))
