"""The first sentence of a doc comment asks for its definition, and is no longer in the tree."""

from __future__ import annotations

import pytest

from benchmarks.corpus.kinds import doc
from tests.benchmarks.corpus.material import asked, material_of

PYTHON = '''def refuse(header):
    """Refuse headers that hold a line feed. It never raises.

    Args:
        header: what was sent.
    """
    return "\\n" in header
'''
GO = """package http

// Refuse reports whether any header holds
// a line feed. It never panics.
func Refuse(header string) bool {
\treturn true
}
"""
JAVA = """class Headers {
    /**
     * Refuses {@link Header headers} that hold a
     * line feed.
     *
     * @param header what was sent
     */
    boolean refuse(String header) {
        return true;
    }
}
"""
RUST = """/// Refuses every header that holds a line feed
fn refuse(header: &str) -> bool {
    true
}
"""
ELIXIR = '''defmodule Headers do
  @doc """
  Refuses every header that holds a line feed.
  """
  def refuse(header) do
    true
  end
end
'''
JULIA = '''"""
    refuse(header)

Refuse every header that holds a line feed.
"""
function refuse(header)
    true
end
'''
CLOJURE = """(defn refuse
  "Refuses every header that holds a line feed."
  [header]
  true)
"""
CSHARP = """class Headers
{
    /// <summary>
    /// Refuses every <see cref="T:Header"/> that holds a line feed.
    /// </summary>
    public bool Refuse(string header)
    {
        return true;
    }
}
"""


@pytest.mark.parametrize(
    ("path", "text", "query", "lines"),
    [
        ("src/h.py", PYTHON, "Refuse headers that hold a line feed", (1, 7)),
        ("src/h.go", GO, "reports whether any header holds a line feed", (5, 7)),
        ("src/H.java", JAVA, "Refuses headers that hold a line feed", (8, 10)),
        ("src/h.rs", RUST, "Refuses every header that holds a line feed", (2, 4)),
        ("lib/h.ex", ELIXIR, "Refuses every header that holds a line feed", (5, 7)),
        ("src/h.jl", JULIA, "Refuse every header that holds a line feed", (6, 8)),
        ("src/h.clj", CLOJURE, "Refuses every header that holds a line feed", (1, 4)),
        ("src/H.cs", CSHARP, "Refuses every Header that holds a line feed", (6, 9)),
    ],
)
def test_the_sentence_is_asked_and_taken_out(path: str, text: str, query: str, lines: tuple[int, int]) -> None:
    material = material_of({path: text})
    assert asked(doc.questions, material) == {query: ((path, *lines),)}
    left = material.contents[path].decode()
    assert "line feed" not in left
    assert left.count("\n") == text.count("\n")
    assert material.text(path) == left
    rest = [word for word in ("It never", "@param header what", "Args:", "refuse(header)") if word in text]
    assert all(word in left for word in rest)


def test_nothing_else_of_the_file_is_changed() -> None:
    material = material_of({"src/h.py": PYTHON})
    doc.questions(material)
    wanted = PYTHON.replace("Refuse headers that hold a line feed.", "")
    assert material.contents["src/h.py"].decode() == wanted


@pytest.mark.parametrize(
    "comment",
    [
        "Refuse headers.", "TODO: refuse headers that hold a line feed.", "See the other function for what it does.",
        "Copyright of the authors of this fine file.", "@deprecated use the other function for such headers",
        "----- headers and other things here -----", "{ a: 1, b: 2, c: [3, 4, 5], d: 6 }",
        "Refuse headers that hold the", "https://example.org/a page about all of these headers",
        "noinspection all of the many things here",
    ],
)  # fmt: skip
def test_comments_that_ask_for_nothing(comment: str) -> None:
    material = material_of({"src/h.rs": f"/// {comment}\nfn refuse() {{}}\n"})
    assert asked(doc.questions, material) == {}
    assert comment in material.text("src/h.rs")


def test_a_sentence_that_stands_twice_is_left_alone() -> None:
    sentence = "Refuses every header that holds a line feed"
    for path, other in (("src/g.rs", RUST), ("README.md", f"# x\n\n{sentence}.\n"), ("tests/t.rs", f"// {sentence}\n")):
        material = material_of({"src/h.rs": RUST, path: other})
        assert asked(doc.questions, material) == {}
        assert sentence in material.text("src/h.rs")


def test_a_sentence_that_differs_by_the_name_alone_is_not_asked() -> None:
    other = GO.replace("Refuse", "RefuseQuickly").replace("any header holds\n// a line", "any header holds a line")
    lone = GO.replace("any header holds\n// a line", "any header holds a line")
    assert len(asked(doc.questions, material_of({"src/g.go": lone}))) == 1
    assert asked(doc.questions, material_of({"src/g.go": lone + other})) == {}
    assert asked(doc.questions, material_of({"src/g.go": lone + other + other})) == {}


def test_there_are_not_too_many_and_not_all_of_one_file() -> None:
    words = [first + second for first in "bcdf" for second in ("ale", "ore", "ine", "ust")]
    texts = {
        f"src/{word}.rs": "".join(f"/// Pours {word} into {one} cups of tea\nfn {word}_{one}() {{}}\n" for one in words)
        for word in words
    }  # fmt: skip
    found = asked(doc.questions, material_of(texts))
    files = [str(target[0]) for targets in found.values() for target in targets if isinstance(target, tuple)]
    assert len(found) == len(files) == doc.LIMIT
    assert max(map(files.count, files)) == 2
    assert found == asked(doc.questions, material_of(texts))
