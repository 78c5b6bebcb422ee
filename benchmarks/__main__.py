"""`python -m benchmarks NAME`: run one measurement and print it as JSON with the machine it was made on."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import demo, indexing, queries, questions
from benchmarks.daemons import machine

HERE = Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=("demo", "index", "query", "questions", "all"))
    parser.add_argument("--root", type=Path, default=HERE.parent, help="the tree to index (default: this repository)")
    parser.add_argument("--file", type=Path, default=HERE / "django_questions.json", help="questions as JSON")
    options = parser.parse_args()
    root = options.root.resolve()
    if options.name == "demo":
        return demo.run()
    figures: dict[str, object] = {"machine": machine()}
    if options.name in ("index", "all"):
        figures["index"] = indexing.run(root)
    if options.name in ("query", "all"):
        figures["query"] = queries.run(root)
    if options.name == "questions":
        figures["questions"] = questions.run(root, options.file)
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
