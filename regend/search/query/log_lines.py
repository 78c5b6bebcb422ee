"""Lines of logs: the message alone, without time, level, thread, process and logger in front. Pure.

No file of the program holds the time at which it ran, and its words would count as much as those of the message.
"""

from __future__ import annotations

import re

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d+)?(?:\s?(?:Z|UTC|GMT|[AP]M|[+-]\d\d:?\d\d)\b)?"
_DAY = (
    rf"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?\s+)?(?:\d{{4}}[-/.]\d\d[-/.]\d\d|\d\d[-/.]\d\d(?:[-/.]\d{{4}})?"
    rf"|\d\d?[-/ ]{_MONTH}(?:[-/ ]\d{{4}})?|{_MONTH}\s+\d\d?)"
)
_TIME = (
    rf"[\[(]?(?:[IWEFD]\d{{4}}\s+{_CLOCK}|(?:{_DAY}(?:T|,?\s+|:{{1,2}}))?{_CLOCK}|(?<=\[)\s*\d+\.\d{{6}}(?=\]))[\])]?"
)
_NAMED = r"TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|ERR|FATAL|CRIT(?:ICAL)?|SEVERE|EMERG|ALERT|PANIC"
_LEVEL = rf"(?:[\[(<](?i:{_NAMED})[\])>]|\b(?:{_NAMED})\b(?:/[\w-]+)?\]?|[IWEFDV](?=\s)|##\[\w+\])"
_LOGGER = (
    r"(?![\w.$:/]*(?:Error|Exception|Failure|Fault|Warning)\b)"
    r"[A-Za-z_$][\w$-]*(?:(?:(?:\.|::|/)[\w$-]+)+(?=\s?:\s|\s-\s|\]\s)|(?:\[\d+\])(?=:\s)|(?=\s:\s|\s-\s))"
)
"""Name of a logger or a program. An exception, and a word before a colon, rather belong to the message."""
_PIECE = re.compile(
    rf"\s*(?:{_TIME}|{_LEVEL}|\[[^\[\]\n]{{0,60}}\]|std(?:err|out)\s[FP]\b|\d+(?:\#\d+)?(?=[\s:])|\#\d+(?=\])|\*\d+(?=\s)"
    rf"|[-:|\]]+(?=\s|\[|$)|{_LOGGER})"
)
_BEGINS = re.compile(
    rf"\s*(?:[\w.-]+\s+\|\s+|[IWEFD],\s+\[|\[|=[A-Z ]+=+\s+|[\d.:a-f]+\s-\s\S+\s)?{_TIME}"
    rf"|\s*\[?(?:{_NAMED})\]?\s+\[[^\[\]\n]{{1,60}}\]\s"
)
_HOST = re.compile(r"\s+[\w.-]+\s(?=[\w./-]+(?:\[\d+\])?:\s)")
"""Host of a line of syslog, before the program."""
_CLOSING = re.compile(r"(?:\s\#\d+\])?[\s\]:=-]*")
_ROOT_LOGGER = re.compile(rf"(?:{_NAMED}):[\w.]+:(?=\S)")
_FIELD = re.compile(r'"(?:msg|message|error|err|event|exception|caller|stacktrace)"\s*:\s*"((?:[^"\\\n]|\\.)*)"')
_OBJECT = re.compile(r'\s*\{(?=.*"(?:level|severity|levelname|lvl)"\s*:)(?=.*"(?:msg|message|event)"\s*:)')
_SIGNS = 60
"""Maximum pieces before a message."""


def message_of(text: str) -> str:
    """Return the text with nothing but the message of each line of a log; what else it holds stays."""
    if not is_log(text):
        return text
    return "\n".join(_message(line) for line in text.splitlines()).strip() or text


def is_log(text: str) -> bool:
    """Return whether the text begins with a line of a log."""
    return any(shape.match(text) for shape in (_BEGINS, _OBJECT, _ROOT_LOGGER))


def _message(line: str) -> str:
    if _OBJECT.match(line):
        return " ".join(re.sub(r"\\[ntr\"]", " ", value) for value in _FIELD.findall(line))
    if root := _ROOT_LOGGER.match(line):
        return line[root.end() :]
    begin = _BEGINS.match(line)
    if begin is None:
        return line
    at = begin.end()
    if host := _HOST.match(line, at):
        at = host.end()
    for _ in range(_SIGNS):
        piece = _PIECE.match(line, at)
        if piece is None or piece.end() == at:
            break
        at = piece.end()
    closing = _CLOSING.match(line, at)
    return line[closing.end() if closing else at :]
