"""The frame of a question is left out, whatever the question is, and nothing else is."""

from __future__ import annotations

from itertools import product

import pytest

from regend.search.query.frames import without_frame
from regend.search.query.parse import parse_query

FRAMES = (
    "Help me find: {}", "Could you please tell me where to find this? {}", "I'm trying to understand {}",
    "Hi! I have a question. {}", "Thanks, that worked. Now another question: {}", "Hello, {}", "{}. Thanks!",
    "Please help me find {}", "Question: {}", "Can you help me with this: {}", "I am new to this project. {}",
    "Hey, quick question - {}", "Search the codebase for {}", "find code about {}", "{}? Any ideas?",
    "Could somebody show me {}", "Good morning. I would like to know the following: {}", "One more thing: {}",
    "So, {}", "Okay, let's see. {}", "{} Thank you in advance.", "I\u2019m looking for {}",
)  # fmt: skip
QUESTIONS = (
    "where is the retry policy", "RetryPolicy", "how do I run the tests", "fix(parser): keep empty lines",
    "expired keys are deleted", "next_delay returns None", "src/queue.py:12",
)  # fmt: skip


@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_is_left_out(frame: str) -> None:
    for question in QUESTIONS:
        if frame in ("Hello, {}", "So, {}") and " " not in question:
            continue  # It could be a text, such as `Hello, world`.
        assert without_frame(frame.format(question)).rstrip(".? ") == question
        assert parse_query(frame.format(question)).terms == parse_query(question).terms


@pytest.mark.parametrize(
    "text",
    [
        "", "help", "thanks", "Hello, world", "hello", "help me", "Show me", "I have a question.",
        "Say hello. Then wave",
        "test: retry", "kind: Deployment", "cli: help", "retry, this", "jobs - all work",
        "all: build test", "in: body", "work: done", "this, that", "team - backend",
        "next: fix the build", "user: add avatars", "query: find", "find: skip links",
        "search for files", "Look up names in the table", "help text of the command", "tell clients to wait",
        "find the code", "so what",
        "to the letter", "show tooltips", "about page", "let us", "trying again", "what is this", "how does it work",
        "where is this?", "get the user, and thank him", "1. thanks", "a - b", "x: y",
    ],
)  # fmt: skip
def test_what_is_no_frame_stays(text: str) -> None:
    assert without_frame(text) == text


def test_frames_stand_in_each_other() -> None:
    for one, other in product(FRAMES[:4], FRAMES[6:9]):
        assert without_frame(other.format(one.format("where is the retry policy"))).startswith("where is the retry")


def test_a_pasted_text_has_no_frame() -> None:
    pasted = "Hello, " + "world of queues and jobs " * 100
    assert without_frame(pasted) == pasted
