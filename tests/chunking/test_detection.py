"""A file's language is what its mode line, its name, its first line or its text says, and never a guess of another."""

from __future__ import annotations

import time

import pytest

from regend.chunking.detection import ALIASES, declared_language, detect_language, is_file_name, language_called
from regend.chunking.grammars import TEXT, language_names, languages_by


def known(language: str) -> str:
    """Return the language, or ``text`` where we have no data file for it."""
    return language if language in language_names() else TEXT


@pytest.mark.parametrize(
    ("path", "content", "language"),
    [
        ("a/b.py", "", "python"),
        ("x.d.ts", "", "typescript"),
        ("A.PY", "", "python"),
        ("README", "hello", TEXT),
        # Files with a name of their own, and variants of them.
        ("Makefile", "", "make"),
        ("src/Makefile.am", "", "make"),
        ("Makefile.in", "", "make"),
        ("makefile.gcc", "", "make"),
        ("Makefile-linux", "", "make"),
        ("Dockerfile", "", "dockerfile"),
        ("Dockerfile.dev", "", "dockerfile"),
        ("Dockerfile_test", "", "dockerfile"),
        ("app.Dockerfile", "", "dockerfile"),
        ("Containerfile.arm64", "", "dockerfile"),
        ("Gemfile.local", "", "ruby"),
        ("Jenkinsfile.release", "", "groovy"),
        (".bashrc.work", "", "bash"),
        ("Makefile.py", "", "python"),
        ("Dockerfile.md", "", "markdown"),
        ("dockerfiles", "", TEXT),
        # Words that are names of files in capitals only.
        ("src/BUILD", "", "starlark"),
        ("BUILD.bazel", "", "starlark"),
        ("WORKSPACE.bzlmod", "", "starlark"),
        ("Buck", "", "starlark"),
        ("script/build", "x\n", TEXT),
        ("man/build_notes.Rd", "", TEXT),
        ("build-all", "", TEXT),
        ("workspace.xyz", "", TEXT),
        # Tools write these beside such files.
        ("Gemfile.lock", "", TEXT),
        ("Podfile.lock", "", TEXT),
        ("cpanfile.snapshot", "", TEXT),
        # Names that a tool or a habit gives.
        ("analysis.Rmd", "", "markdown"),
        ("demo.livemd", "", "markdown"),
        ("src/cart.app.src", "", "erlang"),
        ("rebar.config", "", "erlang"),
        ("A.hs-boot", "", "haskell"),
        ("core.cljd", "", "clojure"),
        (".Rprofile", "", "r"),
        ("cpanfile", "", "perl"),
        ("page.html.heex", "", "html"),
        ("index.jsp", "", "html"),
        ("Page.cshtml", "", "html"),
        ("Brewfile", "", "ruby"),
        ("fastlane/Fastfile", "", "ruby"),
        ("stubs.rbi", "", "ruby"),
        (".envrc", "", "bash"),
        (".zshenv", "", "bash"),
        ("stack.yaml.lock", "", "yaml"),
        ("CITATION.cff", "", "yaml"),
        ("web.config", "", "xml"),
        ("App.vcxproj", "", "xml"),
        ("build.mill", "", "scala"),
        ("Snakefile", "", "python"),
        ("sketch.ino", "", "cpp"),
        ("cart.cppm", "", "cpp"),
        ("main.nf", "", "groovy"),
        ("job.nomad", "", "hcl"),
        (".npmrc", "", "ini"),
        (".gitmodules", "", "ini"),
        ("theme.pcss", "", "css"),
        # Headers.
        ("a.h", "#define X\n", "c"),
        ("a.h", "class A {\n", "cpp"),
        ("a.h", "// A long licence.\n" * 1_000 + "class A {\n};\n", "cpp"),
        ("a.h", "#include <vector>\n", "cpp"),
        ("a.h", "#include <stdio.h>\nint f(void);\n", "c"),
        ("a.h", "struct Node : Base {\n", "cpp"),
        ("a.h", "struct flags { unsigned a : 1; };\n", "c"),
        ("a.h", "/*\nclass of its own\nusing it is easy\n*/\nint f(void);\n", "c"),
        ("a.h", '#ifdef __cplusplus\nextern "C" {\nclass Foo;\n#endif\nint f(void);\n', "c"),
        ("a.h", "#if defined(__cplusplus)\nnamespace x {\n#endif\nint f(void);\n", "c"),
        ("a.h", "int operator_count(void);\n", "c"),
        ("a.h", "inline std::string name();\n", "cpp"),
        ("a.h", "#import <Foundation/Foundation.h>\n", "objc"),
        ("a.h", "// x\n" * 2_000 + "@interface Player : NSObject\n@end\n", "objc"),
        ("a.h", "@class Foo;\n", "objc"),
        ("a.h", "/**\n@class Foo\n*/\nint f(void);\n", "c"),
        ("a.h", "", "c"),
        # Names that clash.
        ("fit.m", "function y = fit(x)\ny = x;\nend\n", "matlab"),
        ("run.m", "% Plots.\nx = 1:10;\n", "matlab"),
        ("S.m", "classdef S < handle\nend\n", "matlab"),
        ("a.m", "#import \"a.h\"\n@implementation A\n@end\n", "objc"),
        ("a.m", "#include <stdio.h>\nint main(void) { return 0; }\n", "objc"),
        ("a.m", "(* ::Package:: *)\nf[x_] := x\n", TEXT),
        ("a.m", "", "objc"),
        ("a.pl", "use strict;\nmy $x = 1;\n", "perl"),
        ("a.pl", "#!/usr/bin/perl -w\nprint 1;\n", "perl"),
        ("a.pl", "#!/usr/bin/env swipl\n", "prolog"),
        ("a.pl", ":- module(a, [p/1]).\np(X) :- q(X).\n", "prolog"),
        ("a.pl", "parent(tom, bob).\n", "prolog"),
        ("a.pl", "", "perl"),
        ("a.t", "use Test::More;\n", "perl"),
        ("a.t", "Cram:\n\n  $ echo a\n  a\n", TEXT),
        ("a.pm", "/* XPM */\nstatic char *x[] = {", "c"),
        ("a.v", "module counter(input clk);\nendmodule\n", "verilog"),
        ("a.v", "Require Import Arith.\nTheorem t : 1 = 1.\nProof. reflexivity. Qed.\n", "coq"),
        ("a.v", "module main\n\nfn main() {\n}\n", "v"),
        ("a.ts", "export const x = 1\n", "typescript"),
        ("de.ts", '<?xml version="1.0"?>\n<!DOCTYPE TS>\n<TS version="2.1">\n', "xml"),
        ("video.ts", "G@\x11\x10" + "\xff" * 184 + "G@\x11\x11" + "\xff" * 184, TEXT),
        ("a.ts", "// Gets a Guide.\n" + "G" * 170 + "\n" + "export const G = 1\n" * 40, "typescript"),
        ("map.tsx", '<?xml version="1.0"?>\n<tileset name="x"/>\n', "xml"),
        ("main.d", "main.o: main.c \\\n  main.h\n", "make"),
        # First lines.
        ("script", "#!/usr/bin/env python3\n", "python"),
        ("script", "#!/usr/bin/python3.12\n", "python"),
        ("script", "#!/bin/sh\r\n", "bash"),
        ("script", "#! /usr/bin/perl -w\n", "perl"),
        ("script", "#!/usr/bin/env -S node --no-warnings\n", "javascript"),
        ("script", "#!/usr/bin/env -S uv run --script\n", "python"),
        ("script", "#!/usr/bin/env LANG=C ruby\n", "ruby"),
        ("script", "#!/nix/store/abc-bash-5.1-p16/bin/bash\n", "bash"),
        ("script", "#!/usr/bin/env pwsh\n", "powershell"),
        ("script", "#!/usr/bin/env nix-shell\n#!nix-shell -i python3 -p python3\n", "python"),
        ("script", '#!/bin/sh\n# \\\nexec perl -x "$0" "$@"\n', "perl"),
        ("script", '#!/bin/sh\nexec "$0"\n', "bash"),
        ("script", "//usr/bin/env go run $0 $@; exit\n", "go"),
        ("script", "#!/opt/own/thing\n", TEXT),
        ("BUILD", "#!/bin/bash\n", "bash"),
        ("build.sh", "#!/usr/bin/env python3\n", "bash"),
        ("Rakefile", "#!/usr/bin/env rake\n", "ruby"),
        ("run.in", "#!/bin/sh\n", "bash"),
        (".bashrc", "#!/bin/bash\n", "bash"),
        ("page.cgi", "#!/usr/bin/perl\n", "perl"),
        ("a.py", "#!/bin/sh\n''':'\nexec python3 \"$0\" \"$@\"\n'''\n", "python"),
        # Mode lines.
        ("config", "# vim: set ft=ruby :\n", "ruby"),
        ("config", "x\n" * 500 + "# vim: ft=python ts=4\n", "python"),
        ("config", "/* vi: set sw=4 filetype=javascript: */\n", "javascript"),
        ("config", "x\n" * 500 + "# vim: ft=python\n" + "y\n" * 50, TEXT),
        ("a.h", "// -*- C++ -*-\n", "cpp"),
        ("a.inc", "/* -*- mode: c++; tab-width: 4 -*- */\n", "cpp"),
        ("a.inc", "# -*- coding: utf-8; mode: python -*-\n", "python"),
        ("config", "#!/bin/sh\n# -*- ruby -*-\n", "ruby"),
        ("config", "x\n" * 300 + "# Local Variables:\n# mode: ruby\n# End:\n", "ruby"),
        ("config", "# -*- coding: utf-8 -*-\n", TEXT),
        ("config", "# vim: ts=4 sw=4 et\n", TEXT),
        ("config", "# vim: ft=klingon\n", TEXT),
        ("a.py", "# vim: set fileencoding=utf-8 :\n", "python"),
        ("vim.md", "# Mode lines\n\n    vim: ft=python\n", "markdown"),
        # Nothing but the text.
        ("layout", '<?xml version="1.0"?>\n<a/>\n', "xml"),
        ("a.inc", "<?php\n", "php"),
    ],
)  # fmt: skip
def test_detection(path: str, content: str, language: str) -> None:
    assert detect_language(path, content.encode("latin-1")) == known(language)


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("ts", "typescript"), ("tsx", "tsx"), ("jsx", "javascript"), ("javascriptreact", "javascript"),
        ("typescriptreact", "tsx"), ("cuda", "cuda"), ("cu", "cuda"), ("shellscript", "bash"), ("shell-script", "bash"),
        ("jupyter", "python"), ("pwsh", "powershell"), ("ps1", "powershell"), ("py3", "python"), ("golang", "go"),
        ("c#", "csharp"), ("objective-c++", "objc"), ("js2-mode", "javascript"), ("python-ts-mode", "python"),
        ("docker-compose", "yaml"), ("postgresql", "sql"), ("systemverilog", "verilog"), ("hpp", "cpp"),
        (".rs", "rust"), ("klingon", ""), ("", ""), ("python,go", ""),
    ],
)  # fmt: skip
def test_names_of_languages(name: str, language: str) -> None:
    if language and language not in language_names():
        language = {"cuda": "cpp"}[language]
    assert language_called(name) == language


@pytest.mark.parametrize(
    ("declared", "found", "language"),
    [
        ("C++", "c", "cpp"), ("c#", "text", "csharp"), ("Objective-C++", "cpp", "objc"), ("F#", "ocaml", "fsharp"),
        ("Emacs-Lisp", "commonlisp", "elisp"), ("Common_Lisp", "text", "commonlisp"), ("Vim-Script", "text", "vim"),
        ("Shell", "text", "bash"), ("HTML+ERB", "html", "erb"), ("HTML+PHP", "html", "php"),
        ("HTML+Django", "html", "jinja"),
        ("Protocol-Buffers", "text", "proto"), ("JSON-with-Comments", "text", "json"),
        ("reStructuredText", "text", "restructuredtext"),
        ("PLpgSQL", "text", "sql"), ("Text", "python", TEXT), ("Mercury", "objc", TEXT), ("Pyhton", "perl", TEXT),
        # Kinds of a language, and files that hold it, are read as what they are.
        ("TypeScript", "tsx", "tsx"), ("JavaScript", "vue", "vue"), ("Python", "notebook", "notebook"),
        ("Jupyter-Notebook", "notebook", "notebook"), ("Ruby", "vue", "ruby"),
    ],
)  # fmt: skip
def test_declared_languages(declared: str, found: str, language: str) -> None:
    assert declared_language(declared, found) == language


def test_aliases_are_other_names() -> None:
    assert not ALIASES.keys() & set(ALIASES.values())
    assert all(alias == alias.lower() for alias in ALIASES)


def test_every_extension_and_file_name_is_one_of_a_file() -> None:
    for extension in languages_by("extensions"):
        assert is_file_name("x" + extension), extension
    for name in languages_by("filenames"):
        assert is_file_name(name) or is_file_name(name.upper()), name
    for name in ("Dockerfile.dev", "notes.txt", "build.LOG", "config.h.in"):
        assert is_file_name(name), name
    for name in ("std", "localhost", "a.b.c.klingon", "example.com", "v1.2", "txt", "A.builder", "app.make", "build"):
        assert not is_file_name(name), name


@pytest.mark.parametrize(
    "line", [b"x" * 70_000, b"a(" * 30_000, b"# if " * 10_000, b"-*- " * 20_000, b"a, " * 20_000, b"(" * 60_000]
)
@pytest.mark.parametrize("name", ["a.h", "a.m", "a.pl", "a.v", "a.t", "a.d", "a"])
def test_no_content_makes_detection_slow(name: str, line: bytes) -> None:
    began = time.perf_counter()
    detect_language(name, line)
    detect_language(name, b"/*" + line)
    assert time.perf_counter() - began < 1.0
