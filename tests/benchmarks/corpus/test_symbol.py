"""Names with several definitions ask for all source files that define them."""

from __future__ import annotations

from benchmarks.corpus.kinds import symbol
from tests.benchmarks.corpus.material import asked, material_of


def test_all_source_files_that_define_a_name_answer_it() -> None:
    files = {
        "src/a.py": "def refuse_header():\n    pass\n\n\ndef lonely_one():\n    pass\n",
        "src/b.py": "class B:\n    def refuse_header(self):\n        pass\n",
        "src/c.py": "from a import refuse_header\n\nrefuse_header()\n",
        "tests/test_a.py": "def refuse_header():\n    pass\n",
    }
    assert asked(symbol.questions, material_of(files)) == {"refuse_header": ("src/a.py", "src/b.py")}


def test_names_that_ask_for_nothing() -> None:
    usual = "def toString():\n    pass\n\n\ndef parse():\n    pass\n\n\ndef a_b():\n    pass\n\n\nMAX_HEADERS = 1\n"
    files = {f"src/{name}.py": usual for name in "abc"}
    files |= {f"src/many{number}.py": "def refuse_header():\n    pass\n" for number in range(7)}
    assert asked(symbol.questions, material_of(files)) == {}


def test_no_two_are_about_the_same_files() -> None:
    text = "".join(f"def pour_{name}():\n    pass\n" for name in ("ale", "milk", "water"))
    assert len(asked(symbol.questions, material_of({"src/a.py": text, "src/b.py": text}))) == 1
