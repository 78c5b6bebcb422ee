"""Guidance for agents beside the server: a skill in the client's own folder, and a marked block in a file of rules."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from regend.errors import ConfigError

PLUGIN = Path(__file__).parents[1] / "plugin"
"""A plugin folder of Claude Code: the server, the skill and the hook."""
SKILL = PLUGIN / "skills" / "regend"
_BEGIN, _END = "<!-- regend: begin -->", "<!-- regend: end -->"
_BLOCK = re.compile(rf"\n?{_BEGIN}.*?{_END}\n?", re.DOTALL)
BLOCK = f"""\
{_BEGIN}
Code search: ask the `regend` tools before you grep or read files. `search_code` finds code by what it does,
`find_symbol` finds definitions, `related_code` finds code like a line, `outline` lists a file's definitions. The index
includes your latest edits. Use grep to count or list every occurrence of an exact text.
{_END}
"""


def put_skill(folder: Path) -> Path:
    """Copy the skill into a folder of skills, over an older one; return where it is.

    Raises:
        ConfigError: the folder cannot be written.
    """
    place = folder / SKILL.name
    try:
        shutil.copytree(SKILL, place, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise ConfigError(f"The skill cannot be written to {place}: {error}.") from error
    return place


def drop_skill(folder: Path) -> bool:
    """Remove our skill from a folder of skills; return whether it was there. Other files in its folder stay."""
    file = folder / SKILL.name / "SKILL.md"
    if not file.exists():
        return False
    file.unlink()
    if not any(file.parent.iterdir()):
        file.parent.rmdir()
    return True


def with_block(text: str) -> str:
    """Return the text of a file of rules with our block at its end, or where an older one stands."""
    if _BLOCK.search(text):
        return _BLOCK.sub(lambda found: ("\n" if found.group().startswith("\n") else "") + BLOCK, text, count=1)
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{gap}{BLOCK}"


def without_block(text: str) -> str:
    """Return the text without our block, and without the blank line before it."""
    return _BLOCK.sub("", text, count=1)
