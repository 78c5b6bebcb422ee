"""Debian's Prometheus scrapes a real daemon, and the dashboard for Grafana asks for metrics that are there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from prometheus_client.parser import text_string_to_metric_families

from regend.gateway.token import read_token, token_file
from tests.e2e.rig import REPOSITORY, daemon, wait_for
from tests.gateway.rig import asked
from tests.gateway.test_daemon import CONFIG

DASHBOARD = json.loads((REPOSITORY / "docs/grafana.json").read_text())
PORT = 19_431


def names_in(expressions: list[str]) -> set[str]:
    return {name for text in expressions for name in re.findall(r"\bregend_\w+", text)}


def test_the_dashboard_asks_for_metrics_that_are_there_and_promtool_has_nothing_to_say(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def a(): pass\n")
    with daemon(CONFIG) as served:
        served.start(tmp_path)
        served.flush()
        served.search("a")
        wait_for(lambda: bool(served.status()["http"]), "the gateway serves")
        text = asked(served.status()["http"], "/metrics", read_token(served.state_dir)).body.decode()
    found = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
    found |= {family.name + "_total" for family in text_string_to_metric_families(text) if family.type == "counter"}
    found |= {"regend_root_skipped_files"}  # This root has no such file.
    expressions = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    assert len(expressions) > 10
    assert names_in(expressions) - found - {"regend_http_request_duration_seconds_bucket"} == set()
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.slow
def test_prometheus_scrapes_it(tmp_path: Path) -> None:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is missing (Debian package prometheus)")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/a.py").write_text("def a(): pass\n")
    with daemon(CONFIG) as served:
        served.start(tmp_path / "root")
        served.flush()
        wait_for(lambda: bool(served.status()["http"]), "the gateway serves")
        scrape: dict[str, Any] = {
            "job_name": "regend", "authorization": {"credentials_file": str(token_file(served.state_dir))},
            "static_configs": [{"targets": [served.status()["http"].removeprefix("http://")]}],
        }  # fmt: skip
        settings = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [scrape]}
        (tmp_path / "prometheus.yml").write_text(json.dumps(settings))
        process = subprocess.Popen(
            [program, f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
             f"--web.listen-address=127.0.0.1:{PORT}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_for(lambda: value_of("regend_up") == 1, "a scrape has come", 60)
            assert value_of("regend_root_files") == 1
            assert value_of('up{job="regend"}') == 1
            for panel in DASHBOARD["panels"]:
                for target in panel["targets"]:
                    assert asked_prometheus(target["expr"])["status"] == "success", target
        finally:
            process.terminate()
            process.wait(20)


def asked_prometheus(expression: str) -> dict[str, Any]:
    url = f"http://127.0.0.1:{PORT}/api/v1/query?query={quote(expression)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def value_of(expression: str) -> float | None:
    try:
        found = asked_prometheus(expression)["data"]["result"]
    except OSError:
        return None
    return float(found[0]["value"][1]) if found else None
