"""Which licences the model may learn from, and which of a Debian source package's files have one.

Debian's machine-readable copyright files (DEP-5) name a licence for each file; a file without one is not used.
"""

from __future__ import annotations

import re
from functools import cache

PERMISSIVE = frozenset(
    [
        "0bsd",
        "afl-2.1",
        "apache",
        "apache-2",
        "apache-2.0",
        "asl-2.0",
        "blessing",
        "boost-1.0",
        "bsl-1.0",
        "bsd",
        "bsd-1-clause",
        "bsd-2",
        "bsd-2-clause",
        "bsd-2-clauses",
        "bsd-3",
        "bsd-3-clause",
        "bsd-3-clauses",
        "bsd-3",
        "bsd3",
        "bsd2",
        "bsd-style",
        "cc0",
        "cc0-1.0",
        "curl",
        "expat",
        "isc",
        "isc-style",
        "mit",
        "mit-0",
        "mit-style",
        "mit-x11",
        "mit/x11",
        "ncsa",
        "php-3.01",
        "postgresql",
        "psf",
        "psf-2",
        "public-domain",
        "python-2.0",
        "ruby-bsd",
        "unicode",
        "unlicense",
        "upl-1.0",
        "w3c",
        "wtfpl",
        "x11",
        "zlib",
        "zlib/libpng",
        "zpl-2.1",
        "new-bsd",
        "simplified-bsd",
        "mit-license",
        "bsd-license",
        "hpnd",
        "psf-2.0",
        "llvm-exception",
        "bsd-3-clause-google",
        "bsd-like",
        "3-clause-bsd",
        "2-clause-bsd",
        "modified-bsd",
        "python-software-foundation",
        "apache-version-2.0",
        "apache-license-version-2.0",
        "go",
        "bsd-3-clause-like",
        "mit-like",
    ]
)
_OR = re.compile(r"\s+or\s+|\s*/\s*(?=[a-z])|\s*\|\s*", re.IGNORECASE)
_AND = re.compile(r"\s+and\s+|\s*,\s+(?:and\s+)?|\s+with\s+", re.IGNORECASE)
_COPYLEFT = re.compile(
    r"gpl|mpl|epl|cddl|copyleft|cc-by-sa|eupl|artistic|sspl|busl|commercial|proprietary", re.IGNORECASE
)


@cache
def is_permissive(expression: str) -> bool:
    """Tell whether a choice of a licence expression (SPDX or DEP-5) is permissive, with all that the choice joins."""
    choices = _OR.split(expression.strip().strip("()").lower()) if expression.strip() else []
    return any(all(_known(part) for part in _AND.split(choice.replace(", version", "-version"))) for choice in choices)


def _known(name: str) -> bool:
    name = name.strip(" ()+").replace(" ", "-").removesuffix("-license").removesuffix("-licence")
    if name in PERMISSIVE:
        return True
    if _COPYLEFT.search(name):
        return False
    return (
        re.fullmatch(
            r"(the-)?(mit|expat|isc|bsd(-[234]-clauses?)?|apache(-software)?([- ]?2(\.0)?)?(-license.*)?)(-license.*)?",
            name,
        )
        is not None
    )


class FileLicences:
    """The licence of each file, by a DEP-5 text.

    Raises:
        ValueError: the text is not machine-readable.
    """

    def __init__(self, text: str) -> None:
        # Only who mines needs this package.
        from debian.copyright import Copyright, Error

        try:
            parsed = Copyright(text.splitlines(keepends=True), strict=False)
            # The last paragraph that fits a file counts.
            self._rules = [
                (
                    paragraph.files_pattern(),
                    (paragraph.license.synopsis if paragraph.license else "") or "",
                    all(str(name).startswith("debian/") for name in paragraph.files),
                )
                for paragraph in parsed.all_files_paragraphs()
            ][::-1]
        except (Error, ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"not machine-readable: {error}") from error

    def names(self, packaging: bool = True) -> list[str]:
        """Short names of all licences that files have; with or without those of Debian's packaging alone."""
        return sorted({synopsis for _, synopsis, only in self._rules if synopsis and (packaging or not only)})

    def allows(self, path: str) -> bool:
        """Allow a file, by its path within the source, as data to learn from."""
        for pattern, synopsis, _ in self._rules:
            if pattern is not None and pattern.match(path):
                return is_permissive(synopsis)
        return False
