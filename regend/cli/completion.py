"""`regenctl completion bash|zsh|fish`: scripts made from the table of commands."""

from __future__ import annotations

from regend.cli.arguments import COMMANDS, GLOBAL
from regend.cli.call import client
from regend.errors import RegendError

LIVE = ("roots", "languages", "keys")
"""Values that change: the scripts ask `regenctl completion --values` for them."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

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
        case _:
            from regend.config import known_keys

            return list(known_keys())


def _flags(command: Command) -> list[Argument]:
    return [a for a in (*command.arguments, *GLOBAL) if a.names[0].startswith("-")]


def _positional(command: Command) -> Argument | None:
    return next((a for a in command.arguments if not a.names[0].startswith("-")), None)


def _live(complete: str) -> str:
    return f"regenctl completion --values {complete} 2>/dev/null"


def _takes_value(argument: Argument) -> bool:
    return argument.options.get("action") not in ("store_true", "store_const")


def _bash_words(complete: str) -> str:
    if complete in ("file", "directory"):
        return f'COMPREPLY=($(compgen -A {complete} -- "$cur")); compopt -o filenames'
    if complete in LIVE:
        files = ' $(compgen -A directory -- "$cur")' if complete == "roots" else ""
        return f'COMPREPLY=($(compgen -W "$({_live(complete)})" -- "$cur"){files})'
    if complete == "commands":
        complete = " ".join(command.name for command in COMMANDS)
    return f'COMPREPLY=($(compgen -W "{complete}" -- "$cur"))'


def bash() -> str:
    """Return a script for `~/.bashrc`: `source <(regenctl completion bash)`."""
    out = [
        "# regenctl completion for bash. Use: source <(regenctl completion bash)",
        "_regenctl() {",
        '    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" command="" i',
        "    COMPREPLY=()",
        "    for ((i = 1; i < COMP_CWORD; i++)); do",
        '        case "${COMP_WORDS[i]}" in',
        "            --socket) ((i++)) ;;",
        "            -*) ;;",
        '            *) command="${COMP_WORDS[i]}"; break ;;',
        "        esac",
        "    done",
        '    case "$command $prev" in',
        f'        *" --socket") {_bash_words("file")}; return ;;',
    ]
    for command in COMMANDS:
        for flag in _flags(command):
            if _takes_value(flag) and flag.names[0] != "--socket":
                action = _bash_words(flag.complete) if flag.complete else ":"
                out.append(f'        "{command.name} {flag.names[0]}") {action}; return ;;')
    out += ["    esac", '    case "$command" in']
    names = " ".join(command.name for command in COMMANDS)
    globals_ = " ".join(flag.names[0] for flag in GLOBAL)
    out.append(f'        "") COMPREPLY=($(compgen -W "{names} {globals_} --help --version" -- "$cur")) ;;')
    for command in COMMANDS:
        flags = " ".join(flag.names[0] for flag in _flags(command))
        positional = _positional(command)
        rest = _bash_words(positional.complete) if positional and positional.complete else ":"
        out.append(
            f'        {command.name}) if [[ "$cur" == -* ]]; then COMPREPLY=($(compgen -W "{flags}" -- "$cur")); '
            f"else {rest}; fi ;;"
        )
    out += ["    esac", "}", "complete -F _regenctl regenctl"]
    return "\n".join(out)


def _quote(text: str) -> str:
    """Escape text for single quotes in zsh and fish; brackets and colons separate the parts of a zsh specification."""
    return text.replace("'", "").replace("[", "(").replace("]", ")").replace(":", " -")


def _zsh_action(complete: str) -> str:
    if complete in LIVE:
        return f'{{compadd -- ${{(f)"$({_live(complete)})"}}}}'
    if complete == "commands":
        complete = " ".join(command.name for command in COMMANDS)
    return {"file": "_files", "directory": "_files -/", "": " "}.get(complete, f"({complete})")


def _zsh_flag(flag: Argument) -> str:
    help_text = _quote(flag.options.get("help", "")).replace("%%", "%")
    value = (
        f":{_quote(flag.options.get('metavar', 'value'))}:{_zsh_action(flag.complete)}" if _takes_value(flag) else ""
    )
    return f"'{flag.names[0]}[{help_text}]{value}'"


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
        if positional := _positional(command):
            label = _quote(positional.options.get("metavar", positional.names[0])).replace(" -", "-")
            parts.append(f"'*:{label}:{_zsh_action(positional.complete)}'")
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
    elif complete in LIVE:
        words = f"({_live(complete)})" + (" (__fish_complete_directories)" if complete == "roots" else "")
    elif complete == "commands":
        words = " ".join(command.name for command in COMMANDS)
    return {"file": "-F", "": "-x"}.get(complete, f"-x -a '{words}'")


def _fish_flag(flag: Argument) -> str:
    name = flag.names[0]
    form = f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
    value = f" -r {_fish_action(flag.complete)}" if _takes_value(flag) else ""
    return f"{form} -d '{_quote(flag.options.get('help', ''))}'{value}"


def fish() -> str:
    """Return a script to save as `~/.config/fish/completions/regenctl.fish`."""
    out = ["# regenctl completion for fish.", "complete -c regenctl -f"]
    out += [f"complete -c regenctl {_fish_flag(flag)}" for flag in GLOBAL]
    for command in COMMANDS:
        out.append(f"complete -c regenctl -n __fish_use_subcommand -a {command.name} -d '{_quote(command.doc)}'")
        seen = f"-n '__fish_seen_subcommand_from {command.name}'"
        out += [
            f"complete -c regenctl {seen} {_fish_flag(flag)}" for flag in _flags(command) if flag not in GLOBAL
        ]  # fmt: skip
        positional = _positional(command)
        if positional and positional.complete:
            out.append(f"complete -c regenctl {seen} {_fish_action(positional.complete)}")
    return "\n".join(out)
