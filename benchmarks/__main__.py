"""`python -m benchmarks NAME`: run one measurement, and print its figures with the machine and the commit.

`index`, `query`, `freshness`, `restart`, `memory`, `idle`, `switch`, `modes`, `load` and `scale` measure speed; `all`
runs them one after the other. They print tables, and write JSON where `--out` says; `page` makes `docs/performance.md`
from it.
`retrieval` and `tokens` judge answers, `chunks DIR...` counts, `corpus` makes trees and questions below `--out`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import page, speed
from regend.limits import MAX_BUDGET_TOKENS, MIN_BUDGET_TOKENS

HERE = Path(__file__).resolve().parent


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in speed.NAMES:
        return speed.main(arguments)
    if arguments and arguments[0] == "page":
        return page.main([Path(name) for name in arguments[1:]])
    # Each of the others needs packages that a machine for measuring speed may lack.
    from benchmarks import chunks, demo, embedding, encoding, fit, questions, retrieval, tokens
    from benchmarks.corpus import making
    from benchmarks.corpus.manifest import UNSEEN, read_manifest
    from benchmarks.daemons import machine
    from benchmarks.misspelling import misspelt

    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "name",
        choices=(
            *speed.NAMES,
            "page",
            "demo",
            "questions",
            "retrieval",
            "fit",
            "tokens",
            "encode",
            "embed",
            "chunks",
            "corpus",
        ),
    )
    parser.add_argument("directories", type=Path, nargs="*", metavar="DIR", help="chunks: the trees to chunk")
    parser.add_argument("--root", type=Path, default=HERE.parent, help="the tree to index (default: this repository)")
    parser.add_argument("--file", type=Path, default=HERE / "django_questions.json", help="questions as JSON")
    parser.add_argument("--seconds", type=float, default=60.0, help="embed: how long limits are measured, 0: not")
    ranking = parser.add_argument_group("retrieval, fit and tokens")
    ranking.add_argument("--questions", type=Path, help="annotated questions over repositories, as JSON")
    ranking.add_argument("--checkouts", type=Path, help="folder with a checkout of each repository, by name")
    ranking.add_argument("--only", default="", help="names of repositories, separated by commas (default: all)")
    ranking.add_argument("--mode", default=",".join(retrieval.MODES), help="rankings to compare (default: %(default)s)")
    ranking.add_argument("--json", type=Path, help="also write everything to this file")
    ranking.add_argument("--state-dir", type=Path, help="keep the index there between runs (default: index afresh)")
    ranking.add_argument("--misspell", action="store_true", help="one edit in each identifier or the longest word")
    ranking.add_argument("--symbols", type=int, default=0, metavar="N", help="also ask for N exact unique names")
    ranking.add_argument(
        "--budget", type=int, default=0, metavar="TOKENS", help="also ask for answers of so many tokens"
    )
    ranking.add_argument("--ablate", action="store_true", help="fit: also without each feature")
    ranking.add_argument("--judge", type=Path, help="fit: questions over other repositories, by which it is judged")
    ranking.add_argument("--write", action="store_true", help="fit: put what was learnt into the package")
    ranking.add_argument("--pairs", action="store_true", help="fit: instead of the weights, the trees on top of them")
    ranking.add_argument("--sample", type=int, default=0, metavar="N", help="tokens: N questions of each repository")
    ranking.add_argument("--plot", type=Path, metavar="FILE", help="tokens: draw the recall there, as SVG")
    made = parser.add_argument_group("corpus", "--only limits it, too")
    made.add_argument("--mirrors", type=Path, help="folder with each repository and its history, as OWNER+NAME")
    made.add_argument("--out", type=Path, default=HERE.parent / "build" / "corpus", help="(default: build/corpus)")
    made.add_argument("--select", action="store_true", help="first write the manifest again, from all mirrors")
    made.add_argument("--unseen", action="store_true", help="the repositories for reports alone, all as one part")
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    if options.name == "demo":
        return demo.run()
    if options.directories and options.name != "chunks":
        parser.error(f"{options.name} takes no directories; name its tree with `--root DIR`")
    if options.name == "chunks":
        print(chunks.run(options.directories or [root]))
        return 0
    if options.name == "corpus":
        if options.mirrors is None or not options.mirrors.is_dir():
            parser.error("corpus needs --mirrors DIR, a folder with the repositories of the manifest")
        if options.select:
            making.select(options.mirrors)
        only, out = names(options.only), options.out.resolve()
        if options.unseen:
            making.run(options.mirrors, out, only, read_manifest(UNSEEN), part="unseen")
        else:
            making.run(options.mirrors, out, only)
        return 0
    if options.name in ("retrieval", "fit", "tokens") and (options.questions is None or options.checkouts is None):
        parser.error(f"{options.name} needs --questions FILE and --checkouts DIR")
    if options.name == "tokens":
        print(
            tokens.run(
                options.questions, options.checkouts, names(options.only), options.sample, options.state_dir,
                options.plot,
            )
        )  # fmt: skip
        return 0
    if options.name == "fit":
        if options.state_dir is None or options.judge is None:
            parser.error("fit needs --state-dir DIR, where the indexes are kept, and --judge FILE, more questions")
        places = options.questions, options.judge, options.checkouts, options.state_dir
        if options.pairs:
            fit.run_pairs(*places, names(options.only), write=options.write)
        else:
            fit.run(*places, names(options.only), ablate=options.ablate, write=options.write)
        return 0
    if options.name == "retrieval":
        modes = names(options.mode)
        if unknown := set(modes) - set(retrieval.MODES):
            parser.error(f"--mode has {', '.join(sorted(unknown))}; there are: {', '.join(retrieval.MODES)}")
        # A mistake on the command line must not show only after an hour of measuring.
        if options.symbols < 0 or (options.budget and not MIN_BUDGET_TOKENS <= options.budget <= MAX_BUDGET_TOKENS):
            parser.error(
                f"--symbols takes a number from 0, --budget one from {MIN_BUDGET_TOKENS} to {MAX_BUDGET_TOKENS}, or 0"
            )
        if options.json is not None and not options.json.resolve().parent.is_dir():
            parser.error(f"--json {options.json} lies in no folder; make {options.json.resolve().parent} first")
        report = retrieval.run(
            options.questions, options.checkouts, names(options.only), modes, misspelt if options.misspell else str,
            options.state_dir, options.symbols, options.budget, options.mirrors,
        )  # fmt: skip
        retrieval.write(report, options.json)
        return 0
    figures: dict[str, object] = {"machine": machine()}
    if options.name == "embed":
        figures["embed"] = embedding.run(options.seconds)
    if options.name == "questions":
        figures["questions"] = questions.run(root, options.file)
    if options.name == "encode":
        figures["encode"] = encoding.run(root)
    print(json.dumps(figures, indent=2))
    return 0


def names(text: str) -> tuple[str, ...]:
    """Split a list of names at its commas."""
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


if __name__ == "__main__":
    sys.exit(main())
