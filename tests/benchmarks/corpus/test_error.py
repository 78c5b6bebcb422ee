"""Messages that one source file raises ask for their line, with values where a user would see values."""

from __future__ import annotations

import re

import pytest

from benchmarks.corpus.kinds import error
from tests.benchmarks.corpus.material import asked, material_of

SAID = "headers must not contain line feeds"


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("src/h.py", f'    raise ValueError("{SAID}")'),
        ("src/h.py", f'    raise errors.BadHeader(\n        "{SAID}"'),
        ("src/h.js", f"  throw new TypeError('{SAID}')"),
        ("src/h.go", f'\treturn fmt.Errorf("{SAID}")'),
        ("src/h.js", f"  throw new TypeError(`{SAID}`)"),
        ("src/h.go", f'\tpanic("{SAID}")'),
        ("src/h.rs", f'    return Err("{SAID}".into());'),
        ("src/h.rs", f'    bail!("{SAID}");'),
        ("src/H.java", f'    throw new IllegalStateException("{SAID}");'),
        ("src/h.c", f'    log_error("{SAID}");'),
        ("lib/h.rb", f'  raise ArgumentError, "{SAID}"'),
        ("lib/h.ex", f'  raise "{SAID}"'),
        ("R/h.R", f'  stop("{SAID}")'),
        ("src/h.kt", f'    error("{SAID}")'),
        ("src/h.ml", f'  failwith "{SAID}"'),
    ],
)
def test_messages_are_found_where_they_are_raised(path: str, line: str) -> None:
    text = "\n\n" + line + "\n"
    number = text[: text.index(SAID)].count("\n") + 1
    assert asked(error.questions, material_of({path: text})) == {SAID: ((path, number, number),)}


@pytest.mark.parametrize(
    "line",
    [
        f'x = "{SAID}"',
        'raise ValueError("bad header")',
        f"raise ValueError(`{SAID}`)",
        f'# raise ValueError("{SAID}")',
        'fatalError("cannot read \\(header.map(f(x)).first) of the request (twice")',
        'raise ValueError("%s %s %s is %s")',
        'raise ValueError("a => b; c = {}; d = [e, f]; g")',
    ],
)
def test_other_texts(line: str) -> None:
    assert asked(error.questions, material_of({"src/h.py": f"{line}\n"})) == {}


def test_a_message_of_two_source_files_is_not_asked() -> None:
    raised = f'raise ValueError("{SAID}")\n'
    assert asked(error.questions, material_of({"src/h.py": raised, "src/g.py": f'text = "{SAID}"\n'})) == {}
    assert asked(error.questions, material_of({"src/h.py": raised, "tests/test_h.py": raised})) != {}


@pytest.mark.parametrize(
    ("literal", "left_out", "filled"),
    [
        (
            "cannot read header %s of the request",
            "cannot read header of the request",
            r"cannot read header \w+ of the .*",
        ),
        (
            "expected a header at line %d of it",
            "expected a header at line of it",
            r"expected a header at line \d+ of it",
        ),
        ("no header named '{name}' was sent", "no header named was sent", r"no header named '\w+' was sent"),
        (
            "no header named ${name} was ever sent",
            "no header named was ever sent",
            r"no header named \w+ was ever sent",
        ),
        ("header #{name}: it was never sent", "header: it was never sent", r"header \w+: it was never sent"),
        ("line feed at index {0} of header", "line feed at index of header", r"line feed at index \d+ of header"),
        ("only 100%% of all headers work", "only 100% of all headers work", r"only 100% of all headers work"),
    ],
)
def test_placeholders(literal: str, left_out: str, filled: str) -> None:
    assert error.shown(literal, "0" * 64) == left_out
    for number in ("1" + "7ab42c" * 10 + "000", "f" * 64):
        said = error.shown(literal, number)
        assert re.fullmatch(filled, said), said


def test_there_are_not_too_many_and_not_all_of_one_file() -> None:
    names = ("ale", "bole", "cole", "dole", "foal", "goal", "hole", "mole", "pole", "role", "sole", "tale")
    texts = {
        f"src/{name}.py": "".join(f'raise E("{name} flows {one} over its brim")\n' for one in names) for name in names
    }
    found = asked(error.questions, material_of(texts))
    assert len(found) == error.LIMIT
    files = [str(target[0]) for targets in found.values() for target in targets if isinstance(target, tuple)]
    assert max(map(files.count, files)) <= 2
