"""A name says whether it is UTF-8, and whether the file is skipped whatever it holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from regend.daemon.handlers.why import _REASONS
from regend.disk.names import skip_reason_of

NAMES = {
    "generated": "package-lock.json Cargo.lock go.sum app.min.js a.b.min.css app.js.map",
    "editor_file": "a.py~ .a.py.un~ .#a.py #a.py# .a.py.swp .a.swo .swp .a.swx .a.py.kate-swp .~lock.a.odt# ~$a.docx "
    ".goutputstream-AB12CD a.py___jb_tmp___ a.py___jb_old___",
    "": "a.py package.json min.js a.min.jsx a.orig a.rej a.bak 4913 ~ # ## .# a.swp .a.swf .swift a#b .a.swp.py "
    "goutputstream-1 a~b.py lock.json .min.js",
}


@pytest.mark.parametrize("reason", NAMES)
def test_a_name_may_be_the_reason_to_skip_a_file(reason: str) -> None:
    for name in NAMES[reason].split():
        assert skip_reason_of(name) == reason, name
        assert skip_reason_of(f"sub/a.py~/{name}") == reason, name


def test_the_page_of_operations_explains_each_reason() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    table = page.partition("### Skipped files")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` ", table, re.MULTILINE)) == {*_REASONS, "quarantined"}
