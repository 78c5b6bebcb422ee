"""Examples of each command, for its help and its page of the manual."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "search": (
        ('regenctl search "where are retries limited"', "ask the repository around the working directory"),
        ("regenctl search RetryPolicy -t python -g 'src/**'", "an identifier, in one language and one folder"),
        ("regenctl search parse header src/net --format vimgrep", "one directory, in the form that Vim reads"),
    ),
    "symbols": (
        ("regenctl symbols RetryPolicy", "find where a name is defined"),
        ("regenctl symbols Client.send -t go", "a dotted end of the qualified name, in one language"),
    ),
    "related": (
        ("regenctl related src/retry.py:40", "find code like the code at a line"),
        ("regenctl related src/retry.py -k 5", "find files like a file"),
    ),
    "outline": (
        ("regenctl outline src/retry.py", "list what a file defines"),
        ("regenctl outline src/retry.py --json", "the same for a program"),
    ),
    "fzf": (
        ("regenctl fzf", "search as you type, with a preview; Enter opens the line in $EDITOR"),
        ("regenctl fzf -t python retry", "begin with a word, in one language"),
        ("regenctl fzf --print", "print path:line of the choice, for a script"),
    ),
    "status": (
        ("regenctl status", "see what is indexed, what is not, and the work in progress"),
        ("regenctl status --watch", "watch it with progress bars"),
        ("regenctl status --watch --until-ready", "return when everything is indexed, in a script"),
    ),
    "mcp": (
        ("regenctl mcp install", "put the server into the configurations of the clients that are here"),
        ("regenctl mcp install codex --dry-run", "show what would change for one client"),
        ("regenctl mcp --root ~/src/app", "serve one repository on standard input and output"),
    ),
    "lsp": (
        ("regenctl lsp", "serve an editor, which starts it itself"),
        ("regenctl lsp --document-symbols", "also answer with the definitions of an open file"),
    ),
    "pipe": (
        ("regenctl pipe", "answer lines of JSON, as an editor sends them"),
        ("regenctl --socket /run/other/regend.sock pipe", "the same of another daemon"),
    ),
    "store": (
        ("regenctl store", "see which pools the shared store holds"),
        ("regenctl store setup --url postgresql://admin@db.example.org/regend", "prepare a database, once"),
        ("regenctl store migrate --to sqlite:///srv/regend/shared.db", "copy all vectors to another store"),
    ),
    "push": (
        ("regenctl push", "give the shared store the vectors of HEAD, as a job of CI does"),
        ("regenctl push --commit v1.4", "those of another commit"),
    ),
    "savings": (
        ("regenctl savings", "see what the answers to agents saved"),
        ("regenctl savings --json", "the same for a program"),
    ),
    "tune": (
        ("regenctl tune", "measure with the repository around the working directory; about two minutes"),
        ("regenctl tune ~/src/app --out proposal.toml", "keep the proposal and the figures behind it"),
    ),
    "flush": (
        ("regenctl flush", "make every file that was saved so far searchable"),
        ("regenctl flush --timeout 300", "wait longer, after a large checkout"),
    ),
    "sync": (
        ("regenctl sync && regenctl search new_name", "find a word that was written just now"),
        ("regenctl sync --timeout 30", "wait longer"),
    ),
    "add": (
        ("regenctl add", "index the working directory, and wait until it is searchable"),
        ("regenctl add ~/src/app ~/src/lib", "index several directories"),
        ("regenctl add --no-wait ~/src/linux", "index a large tree in the background"),
    ),
    "remove": (
        ("regenctl remove ~/src/app", "stop indexing a root; its text is kept for a while"),
        ("regenctl remove app --forget", "delete everything that only this root used"),
    ),
    "list": (
        ("regenctl list", "list the roots"),
        ("regenctl list --files app --state skipped", "list the files of a root that are not indexed, and why"),
    ),
    "reindex": (
        ("regenctl reindex ~/src/app", "read every file again, even those whose time did not change"),
        ("regenctl reindex app", "name the root by the last part of its path"),
        ("regenctl reindex app --mode sequential", "one file at a time, with the least memory"),
    ),
    "pause": (
        ("regenctl pause", "leave the machine to other programs"),
        ("regenctl pause && make bench; regenctl resume", "only while a measurement runs"),
    ),
    "resume": (
        ("regenctl resume", "index again, and catch up"),
        ("regenctl resume && regenctl flush", "and wait until everything is searchable"),
    ),
    "why": (
        ("regenctl why build/out.js", "see which rule leaves a file out, with its file and line"),
        ("regenctl why src/", "ask about a directory"),
    ),
    "doctor": (
        ("regenctl doctor", "check packages, limits, directories, the daemon and its roots"),
        ("regenctl doctor --verify", "also compare the index with every file"),
    ),
    "config": (
        ("regenctl config", "show the file and what it changes"),
        ("regenctl config set watch.quiet_ms 100", "change a value, and keep the comments"),
        ("regenctl config edit", "edit the file; it is checked before it is taken"),
    ),
    "service": (
        ("regenctl service install", "start the daemon at every login"),
        ("regenctl service install --dry-run", "only list what would be done"),
        ("regenctl service uninstall", "remove exactly these files"),
    ),
    "start": (
        ("regenctl start", "start the daemon in the background"),
        ("regenctl start && regenctl add .", "and index the working directory"),
    ),
    "http": (
        ("regenctl http", "print the link to the page"),
        ("regenctl http --header", "print the header for curl and other clients"),
    ),
    "stop": (
        ("regenctl stop", "end the daemon; the index stays on disk"),
        ("regenctl --socket /tmp/x/s stop", "end the daemon on this socket"),
    ),
    "restart": (
        ("regenctl restart", "read the configuration again, or run a newer version"),
        ("regenctl restart && regenctl status", "and see what it does"),
    ),
    "logs": (
        ("regenctl logs", "show the last 50 lines"),
        ("regenctl logs -f", "follow the log"),
    ),
    "completion": (
        ("source <(regenctl completion bash)", "in ~/.bashrc"),
        ("regenctl completion zsh > ~/.zfunc/_regenctl", "a directory of $fpath"),
        ("regenctl completion fish > ~/.config/fish/completions/regenctl.fish", "for fish"),
    ),
    "help": (
        ("regenctl help search", "explain a command"),
        ("regenctl help", "list the commands"),
    ),
}
