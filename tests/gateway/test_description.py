"""Schemathesis asks every endpoint of the OpenAPI description, with right and wrong input: answers are as described.

It is a tool of its own, in an environment of its own: `REGEND_SCHEMATHESIS` names its program.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from regend.gateway.token import read_token
from tests.e2e.rig import REPOSITORY, daemon, wait_for

CONFIG = """
[checks.positive_data_acceptance]
# A name may be that of a file or root that is not there (404), and a text may hold no word to search for (422).
expected-statuses = ["2xx", "401", "403", "404", "422"]
"""


@pytest.mark.slow
def test_every_answer_is_as_described(tmp_path: Path) -> None:
    program = shutil.which(os.environ.get("REGEND_SCHEMATHESIS", "schemathesis"))
    if program is None:
        pytest.skip("schemathesis is not installed (package schemathesis; name its program in REGEND_SCHEMATHESIS)")
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    with daemon('[http]\nlisten = "127.0.0.1:0"\n') as served:
        served.start(REPOSITORY / "regend/rpc")
        served.flush()
        wait_for(lambda: bool(served.status()["http"]), "the gateway serves")
        address = served.status()["http"]
        done = subprocess.run(
            [program, "--config-file", str(tmp_path / "schemathesis.toml"), "run", f"{address}/api/openapi.json",
             "-H", f"Authorization: Bearer {read_token(served.state_dir)}", "--exclude-path", "/api/events",
             "--max-examples", "60", "--request-timeout", "20", "--no-color", "--seed", "7"],
            cwd=tmp_path, capture_output=True, text=True, timeout=500,
        )  # fmt: skip
        print(done.stdout[-1500:])
        assert done.returncode == 0, done.stdout[done.stdout.find("= FAILURES") :] + done.stderr
