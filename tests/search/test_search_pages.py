"""docs/search.md and docs/queries.md name the features, weights and kinds that there are."""

import re
from pathlib import Path

from regend.limits import KINDS
from regend.search.ranking.features import FEATURES
from regend.search.ranking.files import FILE_VECTOR
from regend.search.ranking.weights import WEIGHTS

DOCS = Path(__file__).parents[2] / "docs"
SEARCH, QUERIES = (DOCS / "search.md").read_text(), (DOCS / "queries.md").read_text()


def section(title: str) -> str:
    return SEARCH.split(f"## {title}\n")[1].split("\n## ")[0]


def test_every_feature_is_explained_and_no_other() -> None:
    rows = [line.split("|")[1] for line in section("Features").splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == {feature.name for feature in FEATURES} == set(WEIGHTS)
    assert f"`{FILE_VECTOR}`" in SEARCH


def test_the_ablation_table_has_the_weights_that_are_in_use() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", section("What each feature earns"), re.MULTILINE)
    assert len(rows) >= 10
    assert {name: float(weight) for name, weight in rows} == {name: WEIGHTS[name] for name, _ in rows}


def test_kinds_are_listed() -> None:
    listed = QUERIES.split("\nKinds are ")[1].split(". The words")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == KINDS
