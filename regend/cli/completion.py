"""`regenctl completion bash|zsh|fish`: scripts made from the table of commands."""

from __future__ import annotations

from regend.cli.arguments import COMMANDS, GLOBAL
from regend.cli.call import client
from regend.errors import RegendError

LIVE = ("roots", "languages", "kinds", "clients", "keys")
"""Values that change, or are many: the scripts ask `regenctl completion --values` for them."""
SETTING = "setting"
"""The values of the configuration's key that stands in front."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from regend.cli.argument import Argument
    from regend.cli.arguments import Command


def run_completion(arguments: argparse.Namespace) -> int:
    if arguments.values:
        print("\n".join(_values(arguments)))
        return 0
    if not arguments.shell:
        raise RegendError("Name a shell: `regenctl completion bash`, `zsh` or `fish`.")
    print({"bash": bash, "zsh": zsh, "fish": fish}[arguments.shell]())
    return 0


def _values(arguments: argparse.Namespace) -> list[str]:
    """Return the names that may be put in a place, as they are now; nothing is started for it."""
    match arguments.values:
        case "roots":
            try:
                with client(arguments) as daemon:
                    return [root["path"] for root in daemon.call("list")["roots"]]
            except RegendError:
                return []
        case "languages":
            import os

            names = os.listdir(os.path.join(os.path.dirname(os.path.dirname(__file__)), "chunking", "languages"))  # noqa: PTH118, PTH120, PTH208
            return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))
        case "kinds":
            from regend.limits import KINDS

            return sorted(KINDS)
        case "clients":
            from regend.mcp.install.clients import BY_NAME

            return list(BY_NAME)
        case name:
            from regend.config import known_keys

            keys = known_keys()
            if name == "keys":
                return list(keys)
            if name not in keys:
                raise RegendError(f"There are no values of {name!r}; give {', '.join(LIVE)}, or a key.")
            return list(keys[name].metadata["choices"] or ("true", "false") * isinstance(keys[name].default, bool))


def _flags(command: Command) -> list[Argument]:
    return [a for a in (*command.arguments, *GLOBAL) if a.names[0].startswith("-")]


def _places(command: Command) -> list[tuple[str, str]]:
    """Return what the words behind a command are: a label and what completes it; the last holds for all that follow.

    An argument of several words may have one completion for the first and one for the others, with a bar between.
    """
    found: list[tuple[str, str]] = []
    several = False
    for argument in command.arguments:
        if not argument.names[0].startswith("-"):
            several = argument.options.get("nargs", "?") != "?"
            label = argument.options.get("metavar", argument.names[0])
            found += [(label, complete) for complete in argument.complete.split("|")]
    return found if several else [*found, ("", "")]


def _live(complete: str, key: str = "") -> str:
    return f"regenctl completion --values {key if complete == SETTING else complete} 2>/dev/null"


def _takes_value(argument: Argument) -> bool:
    return argument.options.get("action") not in ("store_true", "store_const")


_BASH_QUOTES = "compopt -o filenames 2>/dev/null"
"""Makes bash quote names where it must; bash 3.2, which macOS has, does not know the word."""


def _either(command: str, flags: Iterable[Argument]) -> str:
    """Return a pattern of bash for a command, or any if it is empty, with any name of any of the flags behind it."""
    return "|".join(f'"{command} {name}"' if command else f'*" {name}"' for flag in flags for name in flag.names)


def _valued(command: Command) -> list[Argument]:
    return [flag for flag in command.arguments if flag.names[0].startswith("-") and _takes_value(flag)]


def _bash_words(complete: str) -> str:
    if complete in ("file", "directory"):
        return f'_regenctl_lines < <(compgen -A {complete} -- "$cur"); {_BASH_QUOTES}'
    if complete in (*LIVE, SETTING):
        offered = f"""_regenctl_lines "$plain" < <({_live(complete, '"${words[1]}"')})"""
        return f"{offered}; {_bash_words('directory')}" if complete == "roots" else offered
    if not complete:
        return ":"
    if complete == "commands":
        complete = " ".join(command.name for command in COMMANDS)
    return f'COMPREPLY=($(compgen -W "{complete}" -- "$cur"))'


def bash() -> str:
    """Return a script for `~/.bashrc`: `source <(regenctl completion bash)`."""
    out = [
        "# regenctl completion for bash. Use: source <(regenctl completion bash)",
        # Names may hold spaces, stars and commands: bash would split and run the words of `$(...)` and of `compgen -W`.
        "_regenctl_lines() {",
        "    local line",
        '    while IFS= read -r line; do if [[ "$line" == "${1-}"* ]]; then COMPREPLY+=("$line"); fi; done',
        "}",
        "_regenctl() {",
        '    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" command="" i',
        # A name as it is typed may begin with a quote, and hold backslashes.
        "    local plain=${cur#[\\\"\\']}",
        "    plain=${plain//\\\\/}",
        "    local -a words=()",
        "    COMPREPLY=()",
        "    for ((i = 1; i < COMP_CWORD; i++)); do",
        '        case "$command ${COMP_WORDS[i]}" in',
        f"            {_either('', filter(_takes_value, GLOBAL))}) ((i++)) ;;",
        *(f"            {_either(c.name, _valued(c))}) ((i++)) ;;" for c in COMMANDS if _valued(c)),
        '            *" -"*) ;;',
        '            " "*) command="${COMP_WORDS[i]}" ;;',
        '            *) words+=("${COMP_WORDS[i]}") ;;',
        "        esac",
        "    done",
        '    case "$command $prev" in',
    ]
    owned = [("", flag) for flag in GLOBAL if _takes_value(flag)]
    owned += [(command.name, flag) for command in COMMANDS for flag in _valued(command)]
    out += [f"        {_either(owner, [flag])}) {_bash_words(flag.complete)}; return ;;" for owner, flag in owned]
    out += ["    esac", '    case "$command" in']
    names = " ".join(command.name for command in COMMANDS)
    globals_ = " ".join(flag.names[0] for flag in GLOBAL)
    out.append(f'        "") COMPREPLY=($(compgen -W "{names} {globals_} --help --version" -- "$cur")) ;;')
    for command in COMMANDS:
        flags = " ".join(flag.names[0] for flag in _flags(command))
        *first, last = [_bash_words(complete) for _, complete in _places(command)]
        words = " ".join(f"{at}) {action} ;;" for at, action in enumerate(first))
        out.append(
            f'        {command.name}) if [[ "$cur" == -* ]]; then COMPREPLY=($(compgen -W "{flags}" -- "$cur")); '
            f'else case "${{#words[@]}}" in {words} *) {last} ;; esac; fi ;;'
        )
    out += ["    esac", "}", "complete -F _regenctl regenctl"]
    return "\n".join(out)


def _quote(text: str, apostrophe: str = "'\\''") -> str:
    """Escape text for single quotes in zsh and fish; brackets and colons separate the parts of a zsh specification.

    Args:
        apostrophe: how the shell takes one between single quotes; in zsh, and not in fish, the text ends before it.
    """
    return text.replace("'", apostrophe).replace("[", "(").replace("]", ")").replace(":", " -")


_FISH_APOSTROPHE = "\\'"


def _zsh_action(complete: str) -> str:
    if complete in (*LIVE, SETTING):
        offered = f'compadd -- ${{(f)"$({_live(complete, "$words[CURRENT-1]")})"}}'
        return f"{{{offered}; _files -/}}" if complete == "roots" else f"{{{offered}}}"
    if complete == "commands":
        complete = " ".join(command.name for command in COMMANDS)
    return {"file": "_files", "directory": "_files -/", "": " "}.get(complete, f"({complete})")


def _zsh_flag(flag: Argument) -> str:
    help_text = _quote(flag.options.get("help", "")).replace("%%", "%")
    value = (
        f":{_quote(flag.options.get('metavar', 'value'))}:{_zsh_action(flag.complete)}" if _takes_value(flag) else ""
    )
    # `--lang=` takes a value that follows `=` or stands in the next word.
    names = [f"{name}=" if value and name.startswith("--") else name for name in flag.names]
    if len(names) == 1:
        return f"'{names[0]}[{help_text}]{value}'"
    again = "*" if flag.options.get("action") == "append" else f"({' '.join(flag.names)})"
    return f"'{again}'{{{','.join(names)}}}'[{help_text}]{value}'"


def zsh() -> str:
    """Return a script to save as `_regenctl` in a directory of `$fpath`, or to source after `compinit`."""
    out = ["#compdef regenctl", "_regenctl_commands() {", "    local -a commands=("]
    out += [f"        '{command.name}:{_quote(command.doc)}'" for command in COMMANDS]
    out += [
        "    )",
        "    _describe command commands",
        "}",
        "_regenctl() {",
        "    local state line",
        "    _arguments -C \\",
    ]
    out += [f"        {_zsh_flag(flag)} \\" for flag in GLOBAL]
    out += ["        '1: :_regenctl_commands' '*:: :->rest' && return 0", '    case "$line[1]" in']
    for command in COMMANDS:
        parts = [_zsh_flag(flag) for flag in _flags(command)]
        places = _places(command)
        for at, (label, complete) in enumerate(places, 1):
            if label:
                place = "*" if at == len(places) else str(at)
                parts.append(f"'{place}:{_quote(label).replace(' -', '-')}:{_zsh_action(complete)}'")
        out.append(f"        {command.name}) _arguments {' '.join(parts)} ;;")
    out += [
        "    esac",
        "}",
        'if [ "$funcstack[1]" = _regenctl ]; then _regenctl "$@"; else compdef _regenctl regenctl; fi',
    ]
    return "\n".join(out)


def _fish_action(complete: str) -> str:
    words = complete
    if complete == "directory":
        words = "(__fish_complete_directories)"
    elif complete in (*LIVE, SETTING):
        words = f"({_live(complete, '(commandline -opc)[-1]')})" + (
            " (__fish_complete_directories)" if complete == "roots" else ""
        )
    elif complete == "commands":
        words = " ".join(command.name for command in COMMANDS)
    return {"file": "-F", "": "-x"}.get(complete, f"-x -a '{words}'")


def _fish_flag(flag: Argument) -> str:
    form = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in flag.names)
    value = f" -r {_fish_action(flag.complete)}" if _takes_value(flag) else ""
    return f"{form} -d '{_quote(flag.options.get('help', ''), _FISH_APOSTROPHE)}'{value}"


def _fish_case(command: str, flags: Iterable[Argument]) -> str:
    return " ".join(f"'{command} {name}'" for flag in flags for name in flag.names)


def fish() -> str:
    """Return a script to save as `~/.config/fish/completions/regenctl.fish`."""
    out = [
        "# regenctl completion for fish.",
        # A word of a question may be the name of a command, and the value of an option is no word of its command.
        "function __regenctl_at --description 'the command, and the least and the most words behind it'",
        "    set -l tokens (commandline -opc)",
        "    set -e tokens[1]",
        "    set -l command ''",
        "    set -l count 0",
        "    set -l skip 0",
        "    for token in $tokens",
        "        if test $skip = 1",
        "            set skip 0",
        "            continue",
        "        end",
        '        switch "$command $token"',
        f"            case {_fish_case('*', filter(_takes_value, GLOBAL))}",
        "                set skip 1",
        *(
            f"            case {_fish_case(c.name, _valued(c))}\n                set skip 1"
            for c in COMMANDS
            if _valued(c)
        ),
        "            case '* -*'",
        "            case ' *'",
        "                set command $token",
        "            case '*'",
        "                set count (math $count + 1)",
        "        end",
        "    end",
        '    test "$command" = "$argv[1]"; or return',
        "    test (count $argv) = 1; or begin",
        "        test $count -ge $argv[2] -a $count -le $argv[3]",
        "    end",
        "end",
        "complete -c regenctl -f",
    ]
    out += [f"complete -c regenctl {_fish_flag(flag)}" for flag in GLOBAL]
    for command in COMMANDS:
        doc = _quote(command.doc, _FISH_APOSTROPHE)
        out.append(f"complete -c regenctl -n \"__regenctl_at ''\" -a {command.name} -d '{doc}'")
        seen = f"-n '__regenctl_at {command.name}'"
        out += [
            f"complete -c regenctl {seen} {_fish_flag(flag)}" for flag in _flags(command) if flag not in GLOBAL
        ]  # fmt: skip
        places = _places(command)
        for at, (_, complete) in enumerate(places):
            if complete:
                last = 999 if at == len(places) - 1 else at
                here = f"-n '__regenctl_at {command.name} {at} {last}'"
                out.append(f"complete -c regenctl {here} {_fish_action(complete)}")
    return "\n".join(out)
