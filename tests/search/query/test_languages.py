"""Languages go by their names, usual short forms and extensions, and by nothing else."""

import pytest

from regend.chunking.grammars import language_names
from regend.search.errors import FilterError
from regend.search.query.languages import _ALIASES, canonical_language


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("python", "python"), ("Python", "python"), ("py", "python"), (".py", "python"), ("C++", "cpp"), ("hpp", "cpp"),
        ("c#", "csharp"), ("cs", "csharp"), ("objc", "objc"), ("objective-c", "objc"), ("rs", "rust"), ("Zig", "zig"),
        ("golang", "go"), ("js", "javascript"), ("ts", "typescript"), ("tsx", "tsx"), ("sh", "bash"), ("shell", "bash"),
        ("yml", "yaml"), ("md", "markdown"), ("tf", "hcl"), ("txt", "text"), (" kt ", "kotlin"), ("rb", "ruby"),
    ],
)  # fmt: skip
def test_names_short_forms_and_extensions(name: str, language: str) -> None:
    assert canonical_language(name) == language


def test_every_name_means_itself_and_every_alias_a_language() -> None:
    assert {name: canonical_language(name) for name in language_names()} == {name: name for name in language_names()}
    assert set(_ALIASES.values()) <= language_names()


@pytest.mark.parametrize("name", ["klingon", "lockfile", "", "python,go", "/"])
def test_other_names_are_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(FilterError, match=r"No language is called .* There are bash, c, .*, zig\."):
        canonical_language(name)
