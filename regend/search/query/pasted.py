"""Pasted text: whether a query is a command line, a message of a program or code, and no typed words.

Such text is searched for as text: a dash, a colon or a quotation mark in it is a part of it, not syntax. Pure.
"""

from __future__ import annotations

import re

from regend.search.query.log_lines import is_log
from regend.search.query.places import places_in
from regend.search.query.words import listed

_COMMANDS = listed(
    """7z adb ansible apk apt apt-get autoreconf aws az b2sum bash bazel brew bun bzip2 cabal cargo cat cc cd
    chgrp chmod chown clang clang++ cmake composer conda cp cpio crontab ctest curl dd deno df diff dig dnf
    docker docker-compose dotnet dpkg du dune echo elixir emacs env erl etcdctl exec export fdisk ffmpeg fish
    flake8 flutter g++ gawk gcc gcloud gdb gem getopt gh git gmake go gofmt golangci-lint gpg gradle gradlew
    grep gsutil gunzip gzip helm helmfile htop http iconv ifconfig iptables java javac jest journalctl jq
    kubectl kustomize ld ldd lein lerna ln lldb ls lsof ltrace lua make meson minikube mix mkdir mkfs mv mvn
    mvnw mypy mysql mysqldump nc ncat netstat nginx ninja nix nix-build nix-shell nm nmap node npm npx nvcc
    objcopy objdump openssl pacman perf perl pg_dump php pip pip3 pipx pkg-config playwright pnpm podman poetry
    prettier protoc ps psql pwd pylint pytest python python2 python3 R r2 rails rake readelf redis-cli rg rm
    rmdir rspec rsync ruby rustc sbt scp screen sed sftp sh shellcheck sqlite3 ssh ssh-keygen stack stat strace
    strip su sudo svn swift systemctl tar tcpdump terraform tmux tofu tox tsc uname unzip uv uvicorn vagrant vim
    virtualenv vite wc wget xargs xcodebuild xxd xz yarn yum zip zsh zstd"""
)
"""Names of programs that mean little else at the beginning of a query."""
_OPTION = re.compile(
    r"(?<!\S)(?!-\w+:)(?:--\w[\w-]*(?:=\S*)?|-\w|-\w+[=+/,.]\S*|-W(?:all|extra|error)|-D[A-Z_]+|-X[a-z]\w*|-[A-Za-z]?\d+)(?!\S)"
)
"""An option that can be no exclusion: ``--long``, ``-x``, ``-std=c++17``, ``-Wall``, ``-j8``."""
_BUNDLE = re.compile(r"(?<!\S)-(?P<word>[b-df-hj-np-tv-z]{2,5})(?!\S)")
"""Letters without a vowel, which are mostly several options in one: ``-xzf``."""
_WORDS_WITHOUT_VOWELS = listed(
    """bb bmp bst bz cc cls cmd cpp cs css csv db dbg dll dns ds fs ftp fx gcc gdb gpg grpc gtk gz hg hpp hs
    html http https ibm jpg js json jsx jvm jwt kt kv ld llm llvm lr ml mp mq ms msg mts mvc mvn nfs np npm ns
    pb pdf pg php pkg pl png pp ps pwd px py rb rc rls rpc rs rss rx sb sdk sh shm smtp sql src ssh ssl std str
    sync syn svg svn tbl tcp tf tls tmp ts tsx ttl ttf txt vb vcs vm vpn vt wgsl ws xhr xls xml xss yml"""
)
_SPEAKS_OF = re.compile(
    r"\b(?:an?|as|by|for|from|like|of|than|the|their|this|to|using|via|when|with|without)\s+\Z", re.IGNORECASE
)
"""Words before what a sentence speaks of: it does not exclude it."""
_IS_OPTION = re.compile(
    r"\s+(?:arguments?|attributes?|flags?|is|options?|parameters?|switch(?:es)?|was)\b", re.IGNORECASE
)
_SHELL = re.compile(r"(?<!\S)(?:\.{1,2}/?|\||\|\||&&|>>?|2>&1|<<?|\\)(?!\S)|\$\(|\$\{?[A-Z_]{2,}|(?<!\S)[A-Z_]{2,}=\S")
_QUOTED = re.compile(r'"[^"\n]*"')
_EXPRESSION = re.compile(r"(?<!\S)(?:-?content:/|-?/(?=[^/\n]*[\\^$*+?()\[{|])(?![*/]))(?:[^/\\\n]|\\.)+/(?!\S)")
"""A regular expression that stands alone: it looks like what it matches."""
_PROMPT = re.compile(
    r"^\s*(?:(?:\w+@[\w.-]+[:~ ][^\s$#]*)?[$#%❯]\s+|PS [A-Z]:[^>]*>\s*|>>> |(?:sudo|doas|time|nohup|watch)\s+)"
)
_MESSAGE = re.compile(
    r"""
    ^\W*(?:[\w.$:/\\-]+(?:Error|Exception|Warning|Failure)\b|Traceback\b|Caused\ by|panic|fatal|E\d{3,5}\b)[:\[\ ]
    | ^\W*(?:error|warning|fatal\ error|note|npm\ ERR!|ERROR|FAILED|WARN|INFO|DEBUG|Exception\ in|Segmentation)\b[^\w\s]
    | ^\s*at\ \S+\s?\( | \[-W[\w=-]+\] | \bundefined\ reference\b | \b(?:error|warning)(?:\[\w+\]|\ [A-Z]+\d+)?:\s
    """,
    re.VERBOSE | re.MULTILINE,
)
_CODE = re.compile(
    r"[;{}]\s*$|^\s*[{}]|(?<=\s)(?:[-+*/|&]?=|==|!=|=>|:=|&&|\|\|)(?=\s)|\w\(.*\)\s*[;{]|^\s*[-+]{3}\s\S|^@@ ",
    re.MULTILINE,
)
_SQL = re.compile(
    r"\b(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|WHERE|FROM|VALUES|EXISTS|NULL|REPLACE|IGNORE|HAVING|LIKE|BETWEEN|IF|IS|AND|"
    r"IN|IFNULL|CASE|WHEN|THEN|ELSE|END|WIN32|APPLE|UNIX|MSVC|DEFINED)\b"
)


def pasted_kind(text: str) -> str:
    """Return what a query is a piece of: ``command``, ``message``, ``code``, or an empty string for typed words."""
    bare = _QUOTED.sub('""', _EXPRESSION.sub("//", text))
    if is_log(text):
        return "message"
    if _is_command(bare):
        return "command"
    if _MESSAGE.search(bare) or (any(place.line for place in places_in(bare)) and len(text.split()) > 2):
        return "message"
    if "\n" in text.strip() or _CODE.search(bare):
        return "code"
    return ""


def has_capital_syntax(text: str) -> bool:
    """Tell whether ``NOT`` and ``OR`` in the text are words of SQL, CMake and the like."""
    return _SQL.search(text) is not None


def speaks_of(text: str, span: tuple[int, int]) -> bool:
    """Tell whether the text speaks of the option that stands at `span`."""
    return bool(_SPEAKS_OF.search(text, 0, span[0]) or _IS_OPTION.match(text, span[1]))


def _is_command(text: str) -> bool:
    if _PROMPT.match(text):
        return True
    first, _, rest = text.strip().partition(" ")
    program = first.rpartition("/")[2]
    if program in _COMMANDS and rest:
        return True
    if "-" not in rest:
        return False
    bundle = any(found["word"] not in _WORDS_WITHOUT_VOWELS for found in _BUNDLE.finditer(rest))
    return bundle or bool(_OPTION.search(rest)) or bool(_SHELL.search(text))
