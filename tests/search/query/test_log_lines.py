"""The message of a line of a log: lines as common loggers write them, and text that is no log."""

from __future__ import annotations

import time
from itertools import product

import pytest

from regend.search.query.log_lines import is_log, message_of
from regend.search.query.parse import parse_query

LINES = (
    "2024-01-02 10:00:00,123 ERROR [main] foo.bar: {}", "2024-01-02 10:00:00,123 - app.server - ERROR - {}",
    "2024-05-06 12:13:14.567  WARN 12345 --- [nio-8080-exec-1] o.s.w.s.PageNotFound : {}",
    "10:11:12.345 [pool-1-thread-2] ERROR com.acme.Service - {}", "Jan  2 10:00:00 myhost myapp[1234]: {}",
    "2024-01-02T10:00:00.123456Z [ERROR] {}", "[2024-01-02T10:00:00Z ERROR my_crate::module] {}",
    "2024-01-02T10:00:00.123456Z ERROR my_crate::module: {}", "[   12.345678] {}", "10:00:00.123 [error] {}",
    "E, [2024-01-02T10:00:00.123456 #1234] ERROR -- : {}", "app_1  | 2024-01-02 10:00:00 ERROR {}",
    "2024-01-02T10:00:00.123456789Z stderr F ERROR {}", "2024/01/02 10:00:00 [error] 31#31: *1 {}",
    "2024-01-02 10:00:00.123 UTC [1234] ERROR:  {}", "[2024-01-02 10:00:00,123: ERROR/ForkPoolWorker-1] {}",
    "=ERROR REPORT==== 2-Jan-2024::10:00:00.123 ===\n{}", "127.0.0.1 - - [02/Jan/2024:10:00:00 +0000] {}",
    "2024-01-02T10:00:00.1234567Z ##[error]{}", "ERROR [main] com.acme.Service - {}", "ERROR:celery.worker:{}",
    "2024/01/02 10:00:00 {}", "[10:00:00] {}", "10:00:00 {}", "2024-01-02T10:00:00+02:00 INFO {}", "WARNING:root:{}",
    '{{"level":"error","ts":1704189600.123,"msg":"{}"}}', '{{"message": "{}", "severity": "ERROR", "time": "10:00"}}',
    "01/02/2024 10:00:00 AM ERROR {}", "2024-01-02 10:00:00 <ERR> {}", "Tue 2 Jan 10:00:00 {}",
)  # fmt: skip
MESSAGES = (
    "could not open socket 12", "ValueError: bad input", "parser: unexpected -x", "Connection refused [errno 111]",
    "java.lang.IllegalStateException: closed", "retry.py:12: failed", "'a' is no number", "x = 3; y: 4", "(closed)",
)  # fmt: skip
OTHERS = (
    "2024-01-02", "10:00", "I, Robot", "E Street", "error: foo", "ERROR: foo", "[main] foo", "fix 12:00:01", "",
    "a | b 10:00:00 c", "time=10:00:00 x", "INFO level", "2024-01-02 10:00:00", '{"level": 3}', "D 1", "std::vector",
    "where is [ERROR] logged", "Jan 2 release", "retry.py:12", "10.0.0.1 - retry", "WARN: deprecated", "class Foo:",
)  # fmt: skip


def test_the_message_of_a_line_is_what_counts() -> None:
    wrong = []
    for line, message in product(LINES, MESSAGES):
        query = parse_query(line.format(message))
        if query.text != message or not query.pasted:
            wrong.append((line, message, query.text))
    assert wrong == []


def test_other_text_stays_as_it_is() -> None:
    assert [text for text in OTHERS if message_of(text) != text] == []


def test_each_line_of_a_log_is_read_and_a_trace_below_it_stays() -> None:
    trace = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\nKeyError: 3'
    text = f"2024-01-02 10:00:00 ERROR [main] could not run\n{trace}\n2024-01-02 10:00:01 INFO stopped"
    assert message_of(text) == f"could not run\n{trace}\nstopped"


@pytest.mark.parametrize("text", ["[", "[x] ", "a.", "10:00:00 ", "- ", "ERROR ", "Jan 2 ", '{"level": "', "1 "])
def test_a_long_line_is_read_quickly(text: str) -> None:
    began_at = time.process_time()
    message_of("2024-01-02 10:00:00 " + text * 600)
    is_log(text * 600)
    message_of('{"level":"x","msg":' + text * 600)
    assert time.process_time() - began_at < 0.5
