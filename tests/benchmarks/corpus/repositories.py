"""Small git repositories that tests make, commit by commit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from benchmarks.corpus.mirrors import Mirror


class Repository:
    """A repository in a folder `OWNER+NAME`; every commit is a second later than the one before."""

    def __init__(self, folder: Path, name: str = "owner+name") -> None:
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        self._seconds = 1_700_000_000
        self.git("init", "-q", "-b", "main")

    @property
    def mirror(self) -> Mirror:
        return Mirror(self.folder.name, self.folder / ".git")

    def git(self, *arguments: str) -> str:
        self._seconds += 1
        stamp = f"{self._seconds} +0000"
        environment = {
            **os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_DATE": stamp,
            "GIT_COMMITTER_DATE": stamp, "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.org",
            "GIT_COMMITTER_NAME": "Ann", "GIT_COMMITTER_EMAIL": "ann@example.org",
        }  # fmt: skip
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, message: str, files: Mapping[str, str | None], author: str = "Ann") -> str:
        """Write files, or remove those without content, and commit them."""
        for path, content in files.items():
            file = self.folder / path
            if content is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message, f"--author={author} <ann@example.org>")
        return self.git("rev-parse", "HEAD")
