"""The licence of a repository, by the text of its licence file."""

from __future__ import annotations

import re
from collections.abc import Mapping

UNKNOWN = "NOASSERTION"
"""SPDX's word for a licence that is not known."""
_FILES = re.compile(
    r"(?:.*/)?(?:(?:\w+-)?(?:un)?licen[cs]es?(?:[-_.](?!go$|py$|rb$|js$|ts$)[\w.-]+)?|copying(?:[-_.][\w.-]+)?|copyright)|"
    r"licenses/[\w.-]+",
    re.IGNORECASE,
)
_MARKS: tuple[tuple[str, str], ...] = (
    ("AGPL-3.0", r"GNU AFFERO GENERAL PUBLIC LICENSE\s+Version 3"),
    ("LGPL-3.0", r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3"),
    ("LGPL-2.1", r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 2\.1"),
    ("GPL-3.0", r"GNU GENERAL PUBLIC LICENSE\s+Version 3"),
    ("GPL-2.0", r"GNU GENERAL PUBLIC LICENSE\s+Version 2"),
    ("GPL-1.0", r"GNU GENERAL PUBLIC LICENSE\s+Version 1"),
    ("MPL-2.0", r"Mozilla Public License,? (?:Version|v\.?) ?2\.0"),
    ("EPL-2.0", r"Eclipse Public License\s*-\s*v ?2\.0"),
    ("EPL-1.0", r"Eclipse Public License\s*-\s*v ?1\.0"),
    ("Apache-2.0", r"Apache License,?\s+Version 2\.0"),
    ("BSL-1.0", r"Boost Software License - Version 1\.0"),
    ("CC0-1.0", r"CC0 1\.0 Universal"),
    ("Artistic-2.0", r"The Artistic License 2\.0"),
    ("Unlicense", r"This is free and unencumbered software released into the public domain"),
    ("MIT", r"Permission is hereby granted, free\s+of\s+charge"),
    ("ISC", r"Permission to use, copy, modify,? and(?: or)? distribute this\s+software for any"),
    ("BSD-3-Clause", r"Redistribution and use in source and binary forms[\s\S]*?(?:Neither the name|names? of)"),
    ("BSD-2-Clause", r"Redistribution and use in source and binary forms"),
    ("Zlib", r"This software is provided 'as-is', without any express or implied\s+warranty"),
    ("WTFPL", r"Do What The F\w+ You Want To Public License"),
    ("EUPL-1.2", r"European Union Public Licen[cs]e v\. ?1\.2"),
    ("LGPL-3.0", r"GNU LGPLv3|\bLGPL-3"),
    ("Apache-2.0", r"\bApache(?: Software)? License,?(?: Version)? 2"),
    ("MIT", r"\bMIT Licen[cs]e\b"),
)


def licence_of(texts: Mapping[str, str]) -> str:
    """Name the licence (SPDX) by the outermost licence file that is known, else by what the README says."""
    files = sorted((path for path in texts if _FILES.fullmatch(path)), key=lambda p: (p.count("/"), len(p), p))
    for path in (*files, *sorted(path for path in texts if re.fullmatch(r"readme(\.\w+)?", path, re.IGNORECASE))):
        text = re.sub(r"[\s#*/]+", " ", texts[path])
        for name, mark in _MARKS:
            if re.search(mark, text, re.IGNORECASE):
                return name
    return UNKNOWN
