"""Paths that are never indexed, whatever any file says: secrets, and version control's own data.

The lists below are complete, in `.gitignore` syntax, compared without regard to case. No rule elsewhere can
bring these back; the ``!`` lines are the exceptions that are part of the list: templates that people commit on purpose.
A pattern is here when its files hold credentials by convention. Names that source code also uses (``credentials.py``,
``secrets.go``) are left out.
"""

from __future__ import annotations

from pathlib import Path

from regend.disk.ignore.rule_list import RuleList
from regend.disk.inputs import Inputs
from regend.disk.repository import holds_git_data, repository_at

SECRET_PATTERNS = (
    # Environment files, except the templates for them.
    "*.env",
    ".env",
    ".env.*",
    ".envrc",
    "!.env.example",
    "!.env.sample",
    "!.env.template",
    "!.env.dist",
    "!example.env",
    "!sample.env",
    "!template.env",
    # Private keys and key stores.
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.ppk",
    "*.jks",
    "*.keystore",
    "*.kdb",
    "*.kdbx",
    "*.p8",
    "*.agekey",
    "*.gpg",
    "*.ovpn",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    # Credential files of well-known programs.
    ".netrc",
    ".authinfo",
    ".gitcookies",
    ".smbcredentials",
    ".vault_pass",
    ".mylogin.cnf",
    ".terraformrc",
    "rclone.conf",
    "_netrc",
    ".pgpass",
    ".my.cnf",
    ".htpasswd",
    ".git-credentials",
    ".gitconfig",  # `url.*.insteadOf` and `http.extraHeader` hold tokens.
    "**/.config/git/config",
    ".hgrc",
    ".cvspass",
    ".npmrc",
    ".pypirc",
    ".dockercfg",
    "**/.docker/config.json",  # The directory itself is one of source in many repositories.
    ".vault-token",
    ".s3cfg",
    ".boto",
    "credentials",
    "!credentials/",  # A package of that name, as in grpc-go, is source.
    "credentials.toml",
    "application_default_credentials.json",
    "credentials.json",
    "credentials.csv",
    "client_secret*.json",
    "*.tfstate",
    "*.tfstate.backup",
    # Histories of typed commands, which may hold passwords.
    ".bash_history",
    ".zsh_history",
    ".mysql_history",
    ".psql_history",
    ".python_history",
    # Directories that hold nothing else.
    ".ssh/",
    ".aws/",
    ".gnupg/",
    ".azure/",
    ".kube/",
    ".password-store/",
    ".terraform.d/",
    ".subversion/",
    "**/.config/gh/",
    "**/.config/gcloud/",
)
VERSION_CONTROL = frozenset(
    (
        ".git", ".hg", ".svn", "_svn", ".jj", ".sl", ".eden", ".repo", ".bzr", "_darcs", ".pijul", ".fslckout",
        "_fossil_", "_mtn", ".got",
    )
)  # fmt: skip
"""Lower-case names of what version controls keep beside the files, compared without regard to case as git does."""
VERSION_CONTROL_DIRECTORIES = frozenset(("CVS", "$tf"))
"""The same, where only a directory counts, and not above a root: people also give these names to other things."""
VERSION_CONTROL_SOURCE = "version control data"
STATE_MARK = "index.db.roots"
"""The file that marks the state directory of every regend, of any user."""

SECRETS = RuleList("\n".join(SECRET_PATTERNS).encode(), "built-in secret list", fold=True)
_SECRET_DIRECTORIES = frozenset(
    [pattern[:-1] for pattern in SECRET_PATTERNS if pattern.endswith("/") and pattern.startswith(".")] + [".docker"]
)


def secret_directory(path: Path) -> str:
    """Return the name on the list that `path` or a directory above it has, or an empty string."""
    return next((name for part in path.parts if (name := part.lower()) in _SECRET_DIRECTORIES), "")


def is_version_control(name: str, is_dir: bool) -> bool:
    """Tell whether a file or directory of this name holds the data of a version control."""
    if name[:1] in "._" and name.lower() in VERSION_CONTROL:
        return True
    return name.endswith(",v") if not is_dir else name in VERSION_CONTROL_DIRECTORIES


def version_control_directory(path: Path, inputs: Inputs | None = None) -> str:
    """Return the directory of version control's own data that `path` is or lies in, or an empty string.

    A worktree that lies in such a directory, as those of a bare repository often do, is source all the same.

    Args:
        inputs: takes note of all that was looked at.
    """
    inputs = Inputs() if inputs is None else inputs
    for directory in (path, *path.parents):
        if directory.name.lower() in VERSION_CONTROL or holds_git_data(str(directory), inputs):
            return str(directory)
        if repository_at(directory, inputs):
            break
    return ""
