"""Clones of a repository give their pool one name, whichever way they were cloned."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from regend.disk.remotes import origins_of
from regend.sharing.naming import normal_url, pool_name

WEB = "example.org/acme/web"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("git@example.org:acme/web.git", WEB),
        ("example.org:acme/web", WEB),
        ("https://example.org/acme/web", WEB),
        ("https://user:token@Example.ORG:443/acme/web.git/", WEB),
        ("ssh://git@example.org/acme/web.git", WEB),
        ("ssh://git@example.org:22//acme/web", WEB),
        ("git://example.org:9418/acme/web.git", WEB),
        ("http://example.org/acme/web.git?x=1", WEB),
        ("ssh://git@example.org:2222/acme/web", "example.org:2222/acme/web"),
        ("https://example.org/Acme/Web", "example.org/Acme/Web"),
        ("https://example.org/", ""),
        ("https://example.org:port/x", ""),
        ("/srv/git/web.git", ""),
        ("../web", ""),
        ("./a:b", ""),
        ("file:///srv/git/web.git", ""),
        ("C:/git/web", ""),
        ("ext::sh -c evil", ""),
        ("", ""),
    ],
)
def test_urls_of_one_repository_are_one_name(url: str, name: str) -> None:
    assert normal_url(url) == name


@pytest.mark.parametrize(
    ("remotes", "commits", "name"),
    [
        ({"upstream": "https://example.org/up/web", "origin": "git@example.org:acme/web"}, ["c1"], WEB),
        ({"b": "https://example.org/b", "a": "https://example.org/a"}, [], "example.org/a"),
        ({"origin": "/srv/web.git", "b": "https://example.org/b"}, ["c1"], "example.org/b"),
        ({"origin": "/srv/web.git"}, ["c2", "c1"], "commit:c1"),
        ({}, [], ""),
    ],
)
def test_what_names_a_pool(remotes: dict[str, str], commits: list[str], name: str) -> None:
    assert pool_name(remotes, commits) == name


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=directory, check=True, timeout=20, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_facts_of_a_repository(tmp_path: Path) -> None:
    assert origins_of(tmp_path).remotes == {}
    git(tmp_path, "init", "-q", "web")
    root = tmp_path / "web"
    assert origins_of(root).root_commits == ()
    for number in range(2):
        (root / "a.py").write_text(f"a = {number}\n")
        git(root, "add", ".")
        git(root, "commit", "-qm", "x")
    first = git(root, "rev-list", "--max-parents=0", "HEAD")
    git(root, "remote", "add", "origin", "git@example.org:acme/web.git")
    # A worktree and a folder within have the same facts; a shallow clone knows no first commit.
    git(root, "worktree", "add", "-q", str(tmp_path / "other"))
    (root / "src").mkdir()
    for place in (root, root / "src", tmp_path / "other"):
        found = origins_of(place)
        assert (found.remotes, found.root_commits) == ({"origin": "git@example.org:acme/web.git"}, (first,))
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{root}", "shallow")
    assert origins_of(tmp_path / "shallow").root_commits == ()
