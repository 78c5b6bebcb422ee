"""Languages go by their names, usual short forms and extensions, and by nothing else."""

import pytest

from regend.chunking.grammars import language_names
from regend.search.errors import FilterError
from regend.search.query.languages import canonical_language, languages_of, written_in


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


def test_every_name_means_itself() -> None:
    assert {name: canonical_language(name) for name in language_names()} == {name: name for name in language_names()}


def test_a_name_may_mean_the_files_of_several() -> None:
    assert languages_of("ts") == languages_of("TypeScript") == {"typescript", "tsx"}
    assert languages_of("tsx") == {"tsx"}
    assert languages_of("ml") == {"ocaml", "ocaml_interface"}
    assert languages_of("py") == {"python"}


@pytest.mark.parametrize("name", ["klingon", "lockfile", "", "python,go", "/"])
def test_other_names_are_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(FilterError, match=r"No language is called .* There are ada, .*bash, .*.*, zig\."):
        canonical_language(name)


def test_a_tree_is_written_in_what_most_of_its_files_are() -> None:
    assert written_in({"yaml": 122, "ruby": 25, "jinja": 11, "markdown": 28}) == {"yaml"}
    assert written_in({"markdown": 300, "bash": 20, "json": 90}) == {"markdown"}
    assert written_in({"yaml": 122, "python": 80}) == written_in({"json": 300, "ocaml": 40}) == frozenset()
    assert written_in({"yaml": 3}) == written_in({}) == frozenset()
