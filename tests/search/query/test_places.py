"""A place is understood in every spelling that programs print and people paste, and little else is taken for one."""

from __future__ import annotations

import time

import pytest

from regend.chunking.grammars import languages_by
from regend.search.query.places import MAX_PLACES, places_in, possible_places

LINE_12 = (
    "{}:12", "{}:12:", "{}:12:5", "{}:12: error: bad type", "{}:12:5: warning: x", "{}:12:text", "see {}:12.",
    "(see {}:12)",
    "({}:12)", "<{}:12>", "[{}:12]", "{}:12)", "`{}:12`", "'{}:12'", '"{}:12"', "{}:12,5", "{}:12 +0x1d",
    "{}:12 (message):",
    "{}#L12", "{}#12", "{}#L12C3", "{}?plain=1#L12", "{}(12)", "{}(12,5)", "{}(12,5): error C2065: x", "{}[12, 5]: x",
    '"{}", line 12', 'File "{}", line 12, in f', "'{}', line 12", "{}, line 12", "{}: line 12: x", "{}:line 12",
    "{} line 12",
    " at f ({}:12:5)", "at {} line 12.", "in {} on line 12", "{}:[12,5] error", "--> {}:12:5", "{}:12:in `save'",
    "{}|12 col 5| error", "e: {}: (12, 5): x", "vim +12 {}", "{}-12-  x", '{{"file": "{}", "line": 12}}',
    "line 12 of {}", "At line 12 of file {}", "what is in line 12 in {}", "{}: 12: x",
    "{}\n  12:5  error  x", " {} 12:5  root",
    '{{file,"{}"}},{{line,12}}', "goroutine 1:\n\t{}:12", 'File "{}", line 12, characters 3-4:',
)  # fmt: skip
RANGES = (
    "{}:12-14", "{}#L12-L14", "{}#L12-14", "{}#L12C3-L14C9", "{}(12,5,14,3)", "{}:12:5-14:3",
    'File "{}", lines 12-14, x',
    "lines 12-14 of {}", "Lines 12 to 14 in the file {}",
    "{}:(12,5)-(14,8): error", "{}:12-14  Symbol  1.000",
)  # fmt: skip
WRITTEN = {
    "src/invoice.py": "src/invoice.py",
    "./src/invoice.py": "src/invoice.py",
    "a.py": "a.py",
    "/home/ci/build/src/invoice.py": "/home/ci/build/src/invoice.py",
    "C:\\ci\\src\\invoice.py": "/ci/src/invoice.py",
    "src\\invoice.py": "src/invoice.py",
    "\\\\server\\share\\invoice.py": "/server/share/invoice.py",
    "file:///home/x/invoice.py": "/home/x/invoice.py",
    "file:///C:/x/invoice.py": "/x/invoice.py",
    "webpack:///./src/app.ts": "/src/app.ts",
    "https://github.com/o/r/blob/main/src/invoice.py": "/src/invoice.py",
    "https://gitlab.com/o/r/-/blob/v1/src/invoice.py": "/src/invoice.py",
    "https://gitlab.com/group/sub/r/-/blob/v1/src/invoice.py": "/src/invoice.py",
    "https://git.example.org/a/b/c/d/r/-/blame/main/src/invoice.py": "/src/invoice.py",
    "https://github.com/o/r/blob/refs/heads/main/src/invoice.py": "/src/invoice.py",
    "https://raw.githubusercontent.com/o/r/main/src/invoice.py": "/src/invoice.py",
    "https://raw.githubusercontent.com/o/r/refs/tags/v1/src/invoice.py": "/src/invoice.py",
    "https://codeberg.org/o/r/src/tag/v1/src/invoice.py": "/src/invoice.py",
    "~/x/invoice.py": "/x/invoice.py",
    "$HOME/x/invoice.py": "/x/invoice.py",
    "app/[id]/page.tsx": "app/[id]/page.tsx",
    "src/(group)/page.tsx": "src/(group)/page.tsx",
    "C#/foo.cs": "C#/foo.cs",
    "src/überall/ünï.py": "src/überall/ünï.py",
    "node_modules/@types/x.d.ts": "node_modules/@types/x.d.ts",
    ".github/workflows/ci.yml": ".github/workflows/ci.yml",
    "../x/invoice.py": "../x/invoice.py",
    "Dockerfile": "Dockerfile",
    "Makefile.am": "Makefile.am",
    "bin/deploy": "bin/deploy",
}


@pytest.mark.parametrize("written", WRITTEN)
def test_a_line_in_every_spelling(written: str) -> None:
    for form in LINE_12:
        if (written, form) == ("bin/deploy", "{}-12-  x"):
            continue  # Nothing tells that this is a path.
        found = places_in(form.format(written))
        assert [(place.path, place.line, place.last_line) for place in found] == [(WRITTEN[written], 12, 12)], form


@pytest.mark.parametrize("written", WRITTEN)
def test_lines_in_every_spelling(written: str) -> None:
    for form in RANGES:
        found = places_in(form.format(written))
        assert [(place.path, place.line, place.last_line) for place in found] == [(WRITTEN[written], 12, 14)], form


@pytest.mark.parametrize(
    "form", ["{}", "`{}`", "'{}'", '"{}"', "how does {} work?", "look at {}.", "{}, please", "({})"]
)
def test_a_file_alone(form: str) -> None:
    found = places_in(form.format("src/invoice.py"))
    assert [(place.path, place.line) for place in found] == [("src/invoice.py", 0)]


def test_files_of_every_language_are_known() -> None:
    for extension in languages_by("extensions"):
        assert places_in(f"x{extension}:17")[0][:2] == (f"x{extension}", 17), extension
    for name in languages_by("filenames"):
        assert places_in(f"a/{name}:17")[0][:2] == (f"a/{name}", 17), name


def test_paths_with_spaces() -> None:
    assert places_in('"my docs/my file.py":12')[0][:2] == ("my docs/my file.py", 12)
    assert places_in("/Users/me/My Project/invoice.py:12: x")[0][:2] == ("/Users/me/My Project/invoice.py", 12)


def test_a_diff_names_the_line_of_its_hunk() -> None:
    found = places_in("--- a/src/invoice.py\n+++ b/src/invoice.py\n@@ -1,2 +12,5 @@\n x = 1\n")
    assert [(place.path, place.line) for place in found] == [("src/invoice.py", 0), ("src/invoice.py", 12)]


def test_frames_tell_the_folder() -> None:
    assert places_in("at com.foo.bar.Baz.run(Baz.java:42)")[0][:2] == ("com/foo/bar/Baz.java", 42)


def test_a_trace_that_ends_with_its_cause_is_read_from_its_end() -> None:
    trace = 'Traceback (most recent call last):\n  File "/a/x.py", line 3, in g\n  File "/a/y.py", line 5, in f\n'
    assert [place.line for place in places_in(trace + "ValueError: bad")] == [5, 3]
    assert [place.line for place in places_in(trace.partition("\n")[2])] == [3, 5]


@pytest.mark.parametrize(
    "text",
    [
        "std::vector", "localhost:8080", "https://example.com/a/b", "https://example.com/x.py", "a.b.c", "e.g. this",
        "v1.2.3",
        "10:30", "foo.bar(12)", "redis:6", "http://localhost:8080/x", "1.5", "the quick:12 fox", "and/or", "", "...",
        "/", "a//",
        '"quoted text"', "Makefile", ".py", "#12", "x[12]", "f(12, 5)", "line 12", "12:30:05", "a/b", "192.168.0.1:80",
    ],
)  # fmt: skip
def test_other_text_is_no_place(text: str) -> None:
    assert places_in(text) == ()


@pytest.mark.parametrize(
    "part", ["/a b", "a/", "(", "[a", '"', "x.py:1 ", "a.b.", "C:\\", "at a.", ":1", "#L", "'a.py ", "(a)/"]
)
def test_no_text_makes_it_slow(part: str) -> None:
    began = time.perf_counter()
    found = places_in((part * 2_000)[:2_000])
    assert time.perf_counter() - began < 1.0
    assert len(found) <= MAX_PLACES


@pytest.mark.parametrize("count", [9, 10, 19, 20, 5_000])
@pytest.mark.parametrize(
    "text",
    [
        "src/a.py:{}", "a.py({})", "a.py({},{})", "src/a.py#L{}-L{}", "a.py:{}-{}", "a.py:{}:1-{}:2", "a.py|{}|",
        "a.py-{}-x", 'File "src/a.py", line {}, in f', "vim +{} src/a.py", '"src/a.py:{}"',
        "see a.py, lines {} to {}", "[a.py]({})",
    ],
)  # fmt: skip
def test_a_line_of_many_digits_is_past_the_end_of_every_file(text: str, count: int) -> None:
    asked = text.replace("{}", "9" * count)
    for place in (*places_in(asked), *possible_places(asked)):
        assert place.line in (0, 999_999_999) and place.last_line in (0, 999_999_999), place
