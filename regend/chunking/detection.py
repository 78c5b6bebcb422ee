"""Detection: which language a file is in, by its name, its mode line, its first line and, where names clash, its text.

Pure: bytes and a path in, a name out. `grammars` has the languages' own names and extensions.
"""

from __future__ import annotations

import re
from functools import lru_cache

from regend.chunking.grammars import TEXT, language_names, languages_by
from regend.chunking.prefilter import may_match

ALIASES = {
    "actionscript3": "actionscript", "ansible": "yaml", "asp": "html", "assembler": "asm", "assembly": "asm",
    "automake": "make", "bat": "batch", "batchfile": "batch", "bazel": "starlark", "bsdmake": "make",
    "buck": "starlark", "bun": "javascript", "c#": "csharp", "c++": "cpp", "c/c++": "cpp", "cfg": "ini",
    "cl": "commonlisp", "cmd": "batch", "common-lisp": "commonlisp", "conf": "ini", "containerfile": "dockerfile",
    "cperl": "perl", "cplusplus": "cpp", "cuda": "cpp", "cython": "python", "dash": "bash", "delphi": "pascal",
    "deno": "typescript", "django": "jinja", "docker": "dockerfile", "docker-compose": "yaml", "dosbatch": "batch",
    "dosini": "ini", "dotnet": "csharp", "ecmascript": "javascript", "emacs-lisp": "elisp", "enh-ruby": "ruby",
    "es6": "javascript", "escript": "erlang", "f#": "fsharp", "f90": "fortran", "fortran-free-form": "fortran",
    "gas": "asm", "gawk": "awk", "gfm": "markdown", "git-config": "ini", "gmake": "make", "gnumake": "make",
    "golang": "go", "gradle": "groovy", "ipython": "python", "java-properties": "properties",
    "java-server-pages": "html", "java-ts": "java", "javascriptreact": "javascript", "jruby": "ruby",
    "js2": "javascript", "js3": "javascript", "json-with-comments": "json", "jsonl": "json", "jsonld": "json",
    "jsp": "html", "jsx": "javascript", "jupyter": "python", "jupyter-notebook": "python", "jython": "python",
    "kotlinscript": "kotlin", "lisp": "commonlisp", "luajit": "lua", "makefile": "make", "maven-pom": "xml",
    "mawk": "awk", "mkd": "markdown", "mysql": "sql", "nasm": "asm", "nawk": "awk", "node": "javascript",
    "nodejs": "javascript", "notebook": "python", "nroff": "text", "objc++": "objc", "objective-c": "objc",
    "objective-c++": "objc", "objective-cpp": "objc", "objectivec": "objc", "objectivecpp": "objc",
    "objectpascal": "pascal", "octave": "matlab", "opentofu": "hcl", "plain": "text", "plaintext": "text",
    "plpgsql": "sql", "plsql": "sql", "posh": "powershell", "postgres": "sql", "postgresql": "sql",
    "protobuf": "proto", "protocol-buffer": "proto", "protocol-buffers": "proto", "proto3": "proto",
    "pwsh": "powershell", "py2": "python", "py3": "python", "pypy": "python", "python2": "python", "python3": "python",
    "rbx": "ruby", "react": "tsx", "rest": "restructuredtext", "rlang": "r", "rmarkdown": "markdown", "rscript": "r",
    "runghc": "haskell", "runhaskell": "haskell", "rust-script": "rust", "sass": "scss", "sh": "bash", "shell": "bash",
    "shell-script": "bash", "shellscript": "bash", "skylark": "starlark", "sqlite": "sql", "sv": "verilog",
    "swipl": "prolog", "systemverilog": "verilog", "tclsh": "tcl", "terraform": "hcl", "tex": "latex",
    "ts-node": "typescript", "tsql": "sql", "typescriptreact": "tsx", "typescript-tsx": "tsx", "txt": "text",
    "unity3d-asset": "yaml", "unix-assembly": "asm", "vb.net": "vb", "vim-script": "vim", "viml": "vim",
    "vimscript": "vim", "visual-basic-.net": "vb", "visualbasic": "vb", "vlang": "v", "wish": "tcl",
    "xml-property-list": "xml", "yarn": "javascript", "zsh": "bash",
}  # fmt: skip
"""Names that people, editors and first lines have for languages, beside their own names and extensions."""
_TEMPLATE_SUFFIXES = frozenset(
    ["dist", "erb", "example", "in", "j2", "jinja", "jinja2", "sample", "template", "tmpl", "tpl"]
)
"""Suffixes that stand behind the one of the language."""
_TEMPLATES = {"erb": "erb", "j2": "jinja", "jinja": "jinja", "jinja2": "jinja"}
"""Languages of templates whose name tells no other one."""
_IN_CAPITALS = frozenset({"buck", "build", "workspace"})
_NO_VARIANTS = frozenset({"lock", "snapshot"})
"""Suffixes of files that a tool writes in a format of its own: ``Gemfile.lock`` is no Ruby."""
_PLAIN_EXTENSIONS = frozenset({"log", "text", "txt"})
_MARKUP = frozenset({"markdown", "restructuredtext"})
"""Languages in which a mode line may be an example."""
_READ_BYTES = 1 << 16
"""How much of a file is looked at where its name does not decide."""
_EDGE_BYTES = 1_024
_MODE_LINES = 5
"""First and last lines of a file in which Vim looks for a mode line."""
_VIM = re.compile(rb"(?:^|\s)(?:vim?|Vim|ex)[<=>]?\d*:.*?\b(?:ft|filetype|syn|syntax)=(?P<name>[\w.+-]+)")
_EMACS = re.compile(
    rb"-\*-\s*(?:(?:[^\n]*?[;\s])?mode:\s*(?P<mode>[\w+#.-]+)|(?P<name>[\w+#.-]+))\s*(?:;[^\n]*?)?-\*-", re.IGNORECASE
)
_EMACS_END = re.compile(rb"Local Variables:[^\0]{0,600}?\bmode:\s*(?P<name>[\w+#.-]+)", re.IGNORECASE)
_SHEBANG = re.compile(
    rb"#!\s*(?:\S*/)?(?:env\s+(?:-S\s*|-\S+\s+|\w+=\S*\s+)*(?:\S*/)?)?(?P<name>[A-Za-z][A-Za-z_+-]*)[\d.]*(?P<rest>[^\n]*)"
)
_EXEC = re.compile(rb"\bexec\s+(?:\S*/)?(?:env\s+)?(?P<name>[A-Za-z]+)[\d.]*\s[^\n]*\$(?:0|\{0|argv0)")
_NIX_SHELL = re.compile(rb"^#!\s*nix-shell\s[^\n]*-i\s+(?P<name>[A-Za-z]+)", re.MULTILINE)
_RUNNERS = {b"uv": "python", b"pipx": "python", b"cargo": "rust", b"stack": "haskell", b"cabal": "haskell"}
"""Programs that run scripts of one language."""


def _lines_like(*patterns: str) -> re.Pattern[bytes]:
    """Compile patterns of beginnings of lines."""
    return re.compile("|".join(rf"^[ \t]*(?:{pattern})" for pattern in patterns).encode(), re.MULTILINE)


_OBJC = _lines_like(
    r"@(?:interface|implementation|protocol|class|property|import|end|optional|required)\b", r"#\s*import\s*[<\"]",
    r"NS_ASSUME_NONNULL_BEGIN\b", r"typedef\s+NS_(?:ENUM|OPTIONS)\b",
)  # fmt: skip
_CPP = _lines_like(
    r"class\s+\w",
    r"struct\s+(?:\w+\s+)?\w+\s*(?:final\s*)?:\s*(?:public|private|protected|virtual|[A-Z_a-z][\w:]*\s*\{)",
    r"enum\s+(?:class|struct)\b", r"(?:inline\s+)?namespace(?:\s+[\w:]+)?\s*\{?\s*$", r"template\s*<", r"using\s+[\w:]",
    r"(?:public|private|protected)\s*(?:\w+\s*)?:", r"#\s*include\s*<\w+>", r"explicit\s+\w", r"virtual\s+[\w~]",
    r"friend\s+\w", r"constexpr\s", r"~\w+\s*\(", r"[^\n]*\bstd::\w", r"[^\n]*\boperator\s*[-+*/=<>!\[(&|^%~]",
    r"[^\n]*\b(?:static|dynamic|reinterpret|const)_cast\s*<", r"[^\n]*\bnullptr\b", r"[^\n]*\w::\w+\s*\(",
    r"[^\n]*\)\s*(?:const\s*)?(?:noexcept|override|final)\b",
)  # fmt: skip
_MATLAB = _lines_like(r"function\b(?!\s*\w*\s*\{)", r"classdef\b", r"end(?:function|if|for|while)?\s*;?\s*$", r"%")
_MATLAB_SCRIPT = _lines_like(
    r"\[[\w, ~]+\]\s*=\s*\w+\s*\(", r"(?:clear|clc|close|hold|figure)\b", r"\w+\s*=\s*[^;{}]*;\s*(?:%.*)?$",
)  # fmt: skip
_MATHEMATICA = _lines_like(r"\(\*", r"\w+\[[^\]]*_\w*\]\s*:?=", r"BeginPackage\[")
_C_LIKE = _lines_like(r"#\s*(?:include|define|pragma)\b", r"//", r"/\*", r"(?:static|extern|typedef|int|void)\s")
_PERL = _lines_like(
    r"use\s+(?:strict|warnings|v?5|[A-Z]\w*|lib|utf8|parent|base|constant)\b", r"(?:my|our|local)\s*[$@%(]",
    r"sub\s+\w", r"package\s+[\w:]+\s*[;{]", r"[$@%]\w+\s*=", r"=(?:pod|head1|cut)\b", r"require\s+[\"'\w]", r"print\s",
)  # fmt: skip
_PROLOG = _lines_like(r":-\s", r"\?-\s", r"[a-z]\w*(?:\([^%\n]*\))?\s*:-", r"[a-z]\w*\([^%\n:;{}$]*\)\.\s*$", r"%")
_COQ = _lines_like(
    r"(?:From\s+\S+\s+)?Require\s+(?:Import|Export)\b", r"(?:Theorem|Lemma|Proposition|Corollary|Fact|Remark)\s+\w",
    r"(?:Co)?(?:Inductive|Fixpoint)\s+\w", r"(?:Proof|Qed|Defined|Admitted)\b.*\.", r"(?:Program\s+)?Definition\s+\w",
    r"(?:Import|Export|Open Scope|Section|Module|Set|Notation|Ltac|Local|Global|Hint)\s.*\.\s*$",
)  # fmt: skip
_V = _lines_like(
    r"(?:pub\s+)?fn\s+(?:\([^)]*\)\s*)?\w", r"(?:pub\s+)?struct\s+\w+\s*\{", r"import\s+[\w.]+\s*$"
)  # fmt: skip
_VERILOG = _lines_like(
    r"module\s+\\?\w+\s*(?:#|\(|;)", r"endmodule\b", r"`(?:timescale|define|include|ifn?def|default_nettype)\b",
    r"always\b", r"assign\s", r"(?:input|output|inout|wire|reg|logic)\b",
)  # fmt: skip
_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml\b|!DOCTYPE\s+TS\b|TS\s|tileset\b)")
_TRANSPORT_STREAM = re.compile(rb"\AG.{187}G(?:.{187}G|.{0,187}\Z)", re.DOTALL)
_CRAM = _lines_like(r" \$ \S")
_XPM = re.compile(rb"/\*\s*XPM\s*\*/")
_DEPENDENCIES = re.compile(rb"\A(?:[^\n]*\\\n)*[^\s:]+\.l?o\s*:")
_FORTH = _lines_like(r": \S+ ", r"\\ ")
_SHADER = _lines_like(r"#version\b", r"(?:precision|uniform|varying|attribute|layout)\b", r"void\s+main\s*\(")
_LISP = _lines_like(r"\((?:defun|defvar|defpackage|in-package|defmacro|defclass|setq|require)\b", r";")
_COMMENT = re.compile(rb"/\*.*?(?:\*/|\Z)|//[^\n]*", re.DOTALL)
_GUARDED = re.compile(
    rb"^[ \t]*#\s*if(?:def\s+|\s+defined\s*\(?\s*)__cplusplus\b.*?^[ \t]*#\s*(?:endif|else)\b", re.DOTALL | re.MULTILINE
)
"""Text of a C header for C++ only."""

_Rules = tuple[tuple[str, re.Pattern[bytes]], ...]
_CLASHES: dict[str, _Rules] = {
    ".h": (("objc", _OBJC), ("cpp", _CPP)),
    ".m": (("objc", _OBJC), ("matlab", _MATLAB), ("objc", _C_LIKE), (TEXT, _MATHEMATICA), ("matlab", _MATLAB_SCRIPT)),
    ".pl": (("perl", _PERL), ("prolog", _PROLOG)),
    ".t": (("perl", _PERL), (TEXT, _CRAM)),
    ".pm": (("c", _XPM),),
    ".v": (("verilog", _VERILOG), ("coq", _COQ), ("v", _V)),
    ".ts": (("xml", _XML), (TEXT, _TRANSPORT_STREAM)),
    ".tsx": (("xml", _XML),),
    ".rs": (("xml", _XML),),
    ".d": (("make", _DEPENDENCIES),),
    ".fs": (("glsl", _SHADER), (TEXT, _FORTH)),
    ".cl": (("c", _C_LIKE), ("commonlisp", _LISP)),
}
"""Extensions that several languages share, with signs of each, the surest first; none leaves the extension's own."""
_SHARED = frozenset({".pl", ".t", ".v", ".m"})
"""Those of `_CLASHES` whose files often have a first line for the system."""


@lru_cache(maxsize=1_024)
def language_called(name: str) -> str:
    """Return the language that has this name, alias or extension (with or without its dot), or nothing."""
    wanted = name.strip().lower()
    for known in (wanted, wanted.removesuffix("-mode").removesuffix("-ts")):
        for found in (known, ALIASES.get(known, "")):
            if found in language_names():
                return found
    return languages_by("extensions").get("." + wanted.removeprefix("."), "")


def is_file_name(name: str) -> bool:
    """Tell whether a name without folders looks like that of a text file, of any language."""
    return bool(_by_name(name)[0]) or (name.lower().rpartition(".")[2] in _PLAIN_EXTENSIONS and "." in name)


def detect_language(path: str, content: bytes = b"") -> str:
    """Detect the language of a file.

    A mode line decides before the name, the name before the first line, except where several languages share an
    extension.

    Args:
        path: relative or absolute, with ``/``.
        content: all of it, or its beginning.

    Returns:
        A name in `language_names()`; ``text`` when nothing fits.
    """
    found, extension = _by_name(path.rpartition("/")[2])
    declared = "" if found in _MARKUP else _mode(content)
    if declared:
        return declared
    if (not (found and extension) or extension in _SHARED) and content.startswith((b"#!", b"//usr/bin/env ")):
        found = _by_first_line(content) or found
    elif extension in _CLASHES:
        found = _by_content(extension, content[:_READ_BYTES]) or found
    if not found:
        found = "xml" if content.startswith(b"<?xml") else "php" if content.startswith(b"<?php") else TEXT
    return found if found in language_names() else TEXT


def declared_language(declared: str, found: str) -> str:
    """Return the language of a file for which `.gitattributes` declares one.

    Args:
        declared: a name as GitHub Linguist has it, with hyphens for spaces; one that is not known here means text.
        found: the language that `detect_language` returns.
    """
    name = declared.lower().replace("_", "-")
    bare = name.replace("-", "")
    outer, _, inner = name.partition("+")
    asked = (name, bare, inner, outer)
    language = next(filter(None, map(language_called, asked)), TEXT)
    return found if language in _HELD.get(found, ()) else language


_HELD = {
    "notebook": frozenset({"python", "json", "r", "julia", "notebook"}),
    "tsx": frozenset({"typescript", "javascript"}),
    **dict.fromkeys(("vue", "svelte", "astro"), frozenset({"javascript", "typescript", "html"})),
    "cython": frozenset({"python"}),
}
"""Languages that are read as they are, also where `.gitattributes` counts them with one of these."""


def _by_name(name: str) -> tuple[str, str]:
    """Return the language that a file name tells, and the extension that told it; no extension for a whole name."""
    if found := _by_whole_name(name):
        return found, ""
    parts = name.lower().split(".")
    extensions = languages_by("extensions")
    for start in range(1, len(parts)):  # The longest extension first: `.d.ts` before `.ts`.
        extension = "." + ".".join(parts[start:])
        if extension in extensions:
            return extensions[extension], extension
    if parts[-1] in _TEMPLATE_SUFFIXES and any(parts[:-1]):
        inner = _by_name(name.rpartition(".")[0])
        return inner if inner[0] else (_TEMPLATES.get(parts[-1], ""), "." + parts[-1])
    found = "" if parts[-1] in _NO_VARIANTS else _variant(name)
    return found, "." + parts[-1] if found else ""


def _by_whole_name(name: str) -> str:
    """Return the language of files of this name; a word such as ``build`` counts in capitals only."""
    lower = name.lower()
    return "" if name == lower and lower in _IN_CAPITALS else languages_by("filenames").get(lower, "")


def _variant(name: str) -> str:
    """Return the language of ``Dockerfile.dev``, ``Makefile.am``, ``gemfile-old``, ``.bashrc_local``."""
    for at, char in enumerate(name):
        if at > 0 and char in ".-_" and (found := _by_whole_name(name[:at])):
            return found
    return ""


def _mode(content: bytes) -> str:
    """Return the language that a mode line of Vim or Emacs names, if there is one that we know."""
    head = b"\n".join(content[:_EDGE_BYTES].split(b"\n", _MODE_LINES)[:_MODE_LINES])
    tail = b"\n".join(content[-_EDGE_BYTES:].rsplit(b"\n", _MODE_LINES + 1)[1:])
    candidates = []
    if b"-*-" in head:
        candidates.append(_EMACS.search(b"\n".join(head.split(b"\n", 2)[:2])))
    candidates += [_VIM.search(part) for part in (head, tail) if b"=" in part and b":" in part]
    if b"Local Variables:" in content[-3_000:]:
        candidates.append(_EMACS_END.search(content[-3_000:]))
    for found in filter(None, candidates):
        named = found.groupdict()
        name = (named.get("mode") or named["name"] or b"").decode("ascii", "replace")
        if language := language_called(name.partition(".")[0] or name):
            return language
    return ""


def _by_first_line(content: bytes) -> str:
    """Return the language of the interpreter that the first line names, or that a shell gives way to."""
    head = content[:_EDGE_BYTES]
    found = _NIX_SHELL.search(head) or _SHEBANG.match(b"#!" + head[2:] if head.startswith(b"//") else head)
    if found is None:
        return ""
    name = found["name"].lower()
    if runner := _RUNNERS.get(name):
        return runner
    if name in (b"sh", b"bash") and (handed := _EXEC.search(head)):
        name = handed["name"].lower()
    called = name.decode()
    return languages_by("shebangs").get(called) or language_called(called) or ALIASES.get(called, "")


def _by_content(extension: str, content: bytes) -> str:
    """Return the language whose signs the text has, or nothing."""
    if extension == ".h":
        content = _GUARDED.sub(b"", _COMMENT.sub(b" ", content))
    rules = _CLASHES[extension]
    return next((language for language, signs in rules if may_match(signs, content) and signs.search(content)), "")
