"""Questions for the uses of a name are told by how they are asked, and the uses come before the definition."""

from __future__ import annotations

from itertools import product

import pytest

from regend.search.query.asked.uses import asks_for_uses
from tests.search.conftest import Corpus
from tests.search.test_literal import found

FORMS = (
    "who calls {}", "what calls {}?", "what else uses {}", "which functions call {}", "which code imports {}",
    "where is {} used", "where else is {} referenced", "Where are {} created?", "where do we call {}",
    "usages of {}", "callers of {}", "call sites of {}", "references to {}", "find all uses of {}", "{} usages",
    "show me the callers of {}", "{} callers", "list all references to {} in this repository", "where does {} get set",
)  # fmt: skip
NAMES = ("next_delay", "RetryPolicy", "retry()", "`MAX_TRIES`", "queue.push", "the RetryPolicy class", "Foo::bar")
OTHER = (
    "next_delay", "where is next_delay defined", "what does next_delay do", "how does next_delay use the clock",
    "use next_delay in the worker", "remove unused usages of the old names and rename RetryPolicy",
    "who wrote next_delay", "the use of force", "function that calls RetryPolicy with a queue of jobs and waits",
    "where are errors handled", "rename callers of it", "avoid references to freed memory in RetryPolicy", "usage",
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_question_for_uses(form: str) -> None:
    for name in NAMES[: len(NAMES) if not form.startswith("{}") else 5]:
        assert asks_for_uses(form.format(name)), form.format(name)


@pytest.mark.parametrize("text", OTHER)
def test_other_text_asks_for_none(text: str) -> None:
    assert not asks_for_uses(text)


def test_uses_come_first_and_then_the_definition(corpus: Corpus) -> None:
    filler = "\n\n".join(f"def other_{at}(x):\n    y = x + {at}\n    return y * {at}" for at in range(40))
    defined = "class RetryPolicy:\n    pass\n\n\ndef next_delay(attempt):\n    return 2 ** attempt\n"
    files = [("src/policies.py", f"{filler}\n\n\n{defined}\n\n{filler.replace('other', 'more')}", "python")]
    files += [
        (
            f"src/use_{at}.py",
            f"import policies\n\n\ndef run_{at}(job):\n    return policies.next_delay({at})\n",
            "python",
        )
        for at in range(3)
    ]
    files += [("src/near.py", "def next_delays(x):\n    next_delayed = x\n    return next_delayed\n", "python")]
    corpus.fill(corpus.add_root("/repo"), files)
    assert found(corpus, "next_delay")[0][0] == "src/policies.py"
    for form, name in product(("who calls {}", "usages of {}", "where is {} used"), ("next_delay", "next_delay()")):
        paths, notes = found(corpus, form.format(name))
        assert notes == ()
        assert all(path.startswith("src/use_") for path in paths[:3]), (form, paths)
        assert "src/policies.py" in paths
