"""Paths that are never indexed, whatever any file says: secrets, and version control's own data.

The lists below are complete, in `.gitignore` syntax, compared without regard to case. No rule elsewhere can
bring these back; the ``!`` lines are the exceptions that are part of the list: templates that people commit on purpose.
A pattern is here when its files hold credentials by convention. Names that source code also uses (``credentials.py``,
``secrets.go``) are left out.
"""

from __future__ import annotations

from pathlib import Path

from regend.disk.ignore.rule_list import RuleList

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
    "**/.config/gh/",
    "**/.config/gcloud/",
)
VERSION_CONTROL = frozenset((".git", ".hg", ".svn", ".jj"))
STATE_MARK = "index.db.roots"
"""The file that marks the state directory of every regend, of any user."""

SECRETS = RuleList("\n".join(SECRET_PATTERNS).encode(), "built-in secret list", fold=True)
_SECRET_DIRECTORIES = frozenset(
    [pattern[:-1] for pattern in SECRET_PATTERNS if pattern.endswith("/") and pattern.startswith(".")] + [".docker"]
)


def secret_directory(path: Path) -> str:
    """Return the name on the list that `path` or a directory above it has, or an empty string."""
    return next((name for part in path.parts if (name := part.lower()) in _SECRET_DIRECTORIES), "")
