"""Path globs mean what they mean in `.gitignore`, and no glob makes matching slow."""

import time

import pytest

from regend.search.errors import FilterError
from regend.search.legs.globs import compile_glob


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("src/**", "src/a/b.py", True),
        ("src/**", "xsrc/a.py", False),
        ("src/**", "lib/src/a.py", False),
        ("*.py", "a/b.py", True),
        ("*.py", "a/b.pyc", False),
        ("tests", "a/tests/x.py", True),
        ("tests", "a/mytests/x.py", False),
        ("src/core", "src/core/deep/x.py", True),
        ("src/", "src/q.py", True),
        ("src/*", "src/q.py", True),
        ("src/*.py", "src/deep/q.py", False),
        ("/setup.py", "setup.py", True),
        ("/setup.py", "a/setup.py", False),
        ("./a.py", "a.py", True),
        ("**/x.py", "x.py", True),
        ("**/x.py", "a/b/x.py", True),
        ("a/**/b.py", "a/b.py", True),
        ("a/**/b.py", "a/x/y/b.py", True),
        ("a/**/b.py", "a/x/bb.py", False),
        ("**/a/**/b/**/c.py", "x/a/q/b/r/c.py", True),
        ("**/a/**/b/**/c.py", "x/b/q/a/r/c.py", False),
        ("**", "any/thing", True),
        ("*.{ts,tsx}", "q/a.tsx", True),
        ("{a,b/{c,d}}/x", "b/d/x", True),
        ("{a}", "{a}", True),
        ("[ab]?.c", "bz.c", True),
        ("[!a].c", "b.c", True),
        ("[!a].c", "a.c", False),
        ("[z-a].c", "b.c", False),
        ("[", "[", True),
        ("*a*b*c", "xxaxbxc", True),
        ("*a*b*c", "xxbxaxc", False),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        ("a.c", "abc", False),
        ("*.PY", "x.py", False),
        ("dir?x", "dir/x", False),
        ("ünï*", "a/ünïcode.py", True),
        ("?n[a-ï]", "ünï", True),
        ("[!a].c", "ü.c", True),
        ("***/x.py", "a/b/x.py", True),
        ("[[:digit:]].c", "1.c", True),
        ("[[:nothing:]].c", "n.c", False),
        ("a[b/c]", "a[b/c]", True),
        ("app/[id]/page.tsx", "app/[id]/page.tsx", True),
        ("/app/[id]/page.tsx", "app/[id]/page.tsx", True),
        ("app/[id]", "app/[id]/page.tsx", True),
        ("app/[id]/", "app/[id]/page.tsx", True),
        ("[id].tsx", "app/[id].tsx", True),
        ("[id].tsx", "app/i.tsx", True),
        ("[id].tsx", "app/x.tsx", False),
        ("a{b,c}", "x/a{b,c}", True),
        ("[...slug]", "app/[...slug]/page.tsx", True),
        ("a\\", "a\\", True),
    ],
)
def test_match(glob: str, path: str, expected: bool) -> None:
    assert compile_glob(glob)(path) is expected


@pytest.mark.parametrize("glob", ["", "/", " ", "x" * 2_000, "{a,b}" * 12])
def test_unusable_globs_are_errors(glob: str) -> None:
    with pytest.raises(FilterError):
        compile_glob(glob)


@pytest.mark.parametrize(("glob", "path"), [("*a" * 200 + "b", "a" * 4_000), ("**/a/" * 90 + "b", "a/" * 2_000 + "c")])
def test_hostile_globs_stay_fast(glob: str, path: str) -> None:
    began = time.perf_counter()
    assert not compile_glob(glob)(path)
    assert time.perf_counter() - began < 1.0  # Backtracking without atomic groups would take ages, not seconds.
