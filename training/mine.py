"""Choose and fetch the packages that the model learns from.

    python -m training.mine select     packages.toml -> manifest.jsonl: name, version, licence, checksum, size
    python -m training.mine fetch      what the manifest names -> build/training/packages

Debian's come as source packages with their copyright files, Python's as wheels or source distributions, npm's as
tarballs. Selection fetches too, because a licence is only known from the package.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from training.held_out import is_excluded_package
from training.licences import FileLicences, is_permissive

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build" / "training"
MANIFEST = HERE / "manifest.jsonl"
_BATCH = 40


@dataclass(frozen=True, slots=True)
class Package:
    """One line of the manifest.

    Attributes:
        source: ``debian`` (source packages), ``debian-binary``, ``pypi`` or ``npm``.
        group: the list of packages.toml that it is from.
        licence: as the package says; for Debian the names of all licences that its files have.
        archive: file name of the archive with the code.
        sha256: of the archive.
        copyright: file name of the archive with `debian/copyright`, or empty.
    """

    source: str
    group: str
    name: str
    version: str
    licence: str
    archive: str
    sha256: str
    copyright: str = ""

    def folder(self) -> Path:
        return BUILD / "packages" / self.source / self.name.replace("/", "+")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("select", "fetch"))
    step = parser.parse_args().step
    if step == "select":
        packages = sorted(_select(), key=lambda p: (p.source, p.group, p.name))
        MANIFEST.write_text("".join(json.dumps(asdict(p), ensure_ascii=False) + "\n" for p in packages))
        print(f"{len(packages)} packages in {MANIFEST.name}")
    else:
        _fetch_all(read_manifest())


def read_manifest() -> list[Package]:
    """Read all packages of the manifest."""
    return [Package(**json.loads(line)) for line in dict.fromkeys(MANIFEST.read_text().splitlines())]


def _select() -> Iterator[Package]:
    chosen: dict[str, Any] = tomllib.loads((HERE / "packages.toml").read_text())
    wanted = list(_debian_wanted(chosen["debian"]))
    print(f"debian: {len(wanted)} source packages asked for", flush=True)
    _fetch_debian([(name, version) for _, name, version in wanted])
    for group, name, version in wanted:
        package = _debian_package(group, name, version)
        if package is not None:
            yield package
    binaries = list(_binaries_wanted(chosen["debian-binary"]))
    print(f"debian: {len(binaries)} binary packages asked for", flush=True)
    _fetch_binaries([(name, version) for _, name, version in binaries])
    for group, name, version in binaries:
        package = _binary_package(group, name, version)
        if package is not None:
            yield package
    for source in ("pypi", "npm"):
        names = [name for name in dict.fromkeys(chosen[source]["packages"].split()) if not is_excluded_package(name)]
        print(f"{source}: {len(names)} packages asked for", flush=True)
        fetch = _fetch_pypi if source == "pypi" else _fetch_npm
        with ThreadPoolExecutor(6) as threads:
            list(threads.map(lambda name: fetch(name, ""), names))  # noqa: B023
        for name in names:
            package = _other_package(source, name)
            if package is not None:
                yield package


def _debian_wanted(groups: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    return _wanted(groups, list(_debian_sources()))


def _binaries_wanted(groups: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    return _wanted(groups, list(_debian_binaries()))


def _wanted(groups: dict[str, Any], listed: list[tuple[str, str, str, int]]) -> Iterator[tuple[str, str, str]]:
    """Yield (group, name, version) by each group's rule; a package belongs to the first group that wants it."""
    taken: set[str] = set()
    for group, rule in groups.items():
        names, sections = re.compile(rule.get("names", "(?!)")), re.compile(rule.get("sections", "(?!)"))
        fitting = [
            (hashlib.sha256(name.encode()).hexdigest(), name, version)
            for name, version, section, size in listed
            if (names.fullmatch(name) or sections.fullmatch(section))
            and size <= rule["max_kb"] * 1024
            and name not in taken
            and not is_excluded_package(name)
        ]
        for _, name, version in sorted(fitting)[: rule["packages"]]:
            taken.add(name)
            yield group, name, version


def _debian_sources() -> Iterator[tuple[str, str, str, int]]:
    """Yield (name, version, section, bytes) of every source package that apt knows, in the version of the release."""
    found: dict[str, tuple[str, str, str, int]] = {}
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(FILENAME)", "Created-By: Sources"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    if not targets:
        sys.exit("apt knows no source packages; add `deb-src` to its sources and run `apt-get update`.")
    for target in sorted(targets, key=lambda name: ("security" in name, "updates" in name, name)):
        text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", target], capture_output=True, check=True).stdout
        for paragraph in text.decode("utf-8", "replace").split("\n\n"):
            fields = dict(re.findall(r"^([A-Z][\w-]*): ?(.*)$", paragraph, re.MULTILINE))
            sizes = [int(size) for size in re.findall(r"^ [0-9a-f]{64} (\d+) \S+\.tar\.\w+$", paragraph, re.MULTILINE)]
            if "Package" in fields and sizes:
                section = fields.get("Section", "").rpartition("/")[2]
                found.setdefault(fields["Package"], (fields["Package"], fields["Version"], section, sum(sizes)))
    return iter(found.values())


def _debian_binaries() -> Iterator[tuple[str, str, str, int]]:
    """Yield (name, version, section, bytes) of every binary package that apt knows."""
    text = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=True).stdout.decode("utf-8", "replace")
    for paragraph in text.split("\n\n"):
        fields = dict(re.findall(r"^([A-Z][\w-]*): (.*)$", paragraph, re.MULTILINE))
        if "Package" in fields and "Size" in fields:
            yield (
                fields["Package"],
                fields["Version"],
                fields.get("Section", "").rpartition("/")[2],
                int(fields["Size"]),
            )


def _fetch_binaries(wanted: list[tuple[str, str]]) -> None:
    root = BUILD / "packages" / "debian-binary"
    lacking = [(name, version) for name, version in wanted if not any((root / name).glob("*.deb"))]
    for start in range(0, len(lacking), _BATCH):
        inbox = BUILD / "packages" / "inbox"
        inbox.mkdir(parents=True, exist_ok=True)
        batch = [f"{name}={version}" for name, version in lacking[start : start + _BATCH]]
        subprocess.run(
            ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *batch], cwd=inbox, capture_output=True
        )
        for file in inbox.glob("*.deb"):
            folder = root / file.name.partition("_")[0]
            folder.mkdir(parents=True, exist_ok=True)
            file.rename(folder / file.name)
        shutil.rmtree(inbox)
        print(f"  {start + len(batch)} of {len(lacking)}", flush=True)


def _binary_package(group: str, name: str, version: str) -> Package | None:
    """Describe a binary package if all its licences are permissive: they cannot be told apart by installed paths."""
    archives = sorted((BUILD / "packages" / "debian-binary" / name).glob("*.deb"))
    if not archives:
        return None
    try:
        named = FileLicences(binary_copyright(archives[0])).names(packaging=False)
    except (ValueError, KeyError, OSError, tarfile.TarError):
        return None
    if not named or not all(is_permissive(one) for one in named):
        return None
    return Package("debian-binary", group, name, version, "; ".join(named), archives[0].name, _sha256(archives[0]))


def binary_tar(archive: Path) -> tarfile.TarFile:
    """Open the files of a binary package."""
    raw = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(archive)], capture_output=True, check=True).stdout
    return tarfile.open(fileobj=io.BytesIO(raw))


def binary_copyright(archive: Path) -> str:
    """Read the copyright file of a binary package.

    Raises:
        KeyError: it has no copyright file.
    """
    with binary_tar(archive) as tar:
        for member in tar:
            if member.isfile() and re.fullmatch(r"\./usr/share/doc/[^/]+/copyright", member.name):
                file = tar.extractfile(member)
                assert file is not None
                return file.read().decode("utf-8", "replace")
    raise KeyError("copyright")


def _fetch_debian(wanted: list[tuple[str, str]]) -> None:
    lacking = [
        (name, version) for name, version in wanted if not any((BUILD / "packages" / "debian" / name).glob("*.tar.*"))
    ]
    batches = [lacking[start : start + _BATCH] for start in range(0, len(lacking), _BATCH)]
    with ThreadPoolExecutor(4) as threads:
        for count, _ in enumerate(threads.map(_fetch_debian_batch, batches, range(len(batches))), 1):
            print(f"  {min(count * _BATCH, len(lacking))} of {len(lacking)}", flush=True)


def _fetch_debian_batch(batch: list[tuple[str, str]], number: int) -> None:
    """Fetch a batch; a package that is no longer published fails alone, the others arrive all the same."""
    inbox = BUILD / "packages" / f"inbox-{number}"
    inbox.mkdir(parents=True, exist_ok=True)
    command = ["apt-get", "source", "--download-only", "-qq", "-o", "APT::Sandbox::User=root"]
    subprocess.run([*command, *(f"{name}={version}" for name, version in batch)], cwd=inbox, capture_output=True)
    for description in inbox.glob("*.dsc"):
        _file_away(description)
    shutil.rmtree(inbox)


def _file_away(description: Path) -> None:
    text = description.read_text("utf-8", "replace")
    name = re.search(r"^Source: (\S+)", text, re.MULTILINE)
    assert name is not None, description
    folder = BUILD / "packages" / "debian" / name[1]
    folder.mkdir(parents=True, exist_ok=True)
    for file in set(re.findall(r"^ [0-9a-f]{64} \d+ (\S+)$", text, re.MULTILINE)):
        part = description.parent / file
        if part.exists():
            part.rename(folder / file)
    description.rename(folder / description.name)


def _debian_package(group: str, name: str, version: str) -> Package | None:
    folder = BUILD / "packages" / "debian" / name
    archives = sorted(p for p in folder.glob("*.tar.*") if not p.name.endswith(".asc"))
    code = [
        p
        for p in archives
        if ".debian.tar." not in p.name and "-" not in p.name.partition(".orig")[2].partition(".tar")[0]
    ]
    packaging = [p for p in archives if ".debian.tar." in p.name] or code
    if not code or not packaging:
        return None
    try:
        licences = FileLicences(copyright_text(packaging[0]))
    except (ValueError, KeyError, OSError, tarfile.TarError) as error:
        print(f"  {name}: no machine-readable licence ({type(error).__name__})")
        return None
    named = licences.names()
    if not any(is_permissive(one) for one in named):
        return None
    version = _version_of(folder) or version  # apt may have given a newer version than the one asked for.
    return Package("debian", group, name, version, "; ".join(named), code[0].name, _sha256(code[0]), packaging[0].name)


def _version_of(folder: Path) -> str:
    """Read the version from the source package's description; empty if it has no such line."""
    texts = (description.read_text("utf-8", "replace") for description in folder.glob("*.dsc"))
    stated = (re.search(r"^Version: (\S+)", text, re.MULTILINE) for text in texts)
    return next((found[1] for found in stated if found), "")


def copyright_text(archive: Path) -> str:
    """Read `debian/copyright` of a packaging archive.

    Raises:
        KeyError: it has no such file.
    """
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and re.fullmatch(r"(\./)?([^/]+/)?debian/copyright", member.name):
                file = tar.extractfile(member)
                assert file is not None
                return file.read().decode("utf-8", "replace")
    raise KeyError("debian/copyright")


def _fetch_pypi(name: str, version: str) -> None:
    folder = BUILD / "packages" / "pypi" / name
    if any(folder.glob("*")):
        return
    folder.mkdir(parents=True, exist_ok=True)
    wanted = f"{name}=={version}" if version else name
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
        "-d",
        str(folder),
    ]
    subprocess.run([*command, "--only-binary", ":all:", wanted], capture_output=True, check=False)


def _fetch_npm(name: str, version: str) -> None:
    folder = BUILD / "packages" / "npm" / name.replace("/", "+")
    if any(folder.glob("*")):
        return
    folder.mkdir(parents=True, exist_ok=True)
    wanted = f"{name}@{version}" if version else name
    subprocess.run(
        ["npm", "pack", "--silent", "--ignore-scripts", wanted], cwd=folder, capture_output=True, check=False
    )


def _other_package(source: str, name: str) -> Package | None:
    folder = BUILD / "packages" / source / name.replace("/", "+")
    archives = sorted(folder.glob("*"))
    if not archives:
        print(f"  {name}: not to be had")
        return None
    try:
        version, licence = _wheel_licence(archives[0]) if source == "pypi" else _npm_licence(archives[0])
    except (KeyError, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        print(f"  {name}: {type(error).__name__} {error}")
        return None
    if not is_permissive(licence):
        print(f"  {name}: licence {licence!r}")
        return None
    return Package(source, source, name, version, licence, archives[0].name, _sha256(archives[0]))


def _wheel_licence(archive: Path) -> tuple[str, str]:
    with zipfile.ZipFile(archive) as wheel:
        name = next((n for n in wheel.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n)), "")
        fields = HeaderParser().parsestr(wheel.read(name).decode("utf-8", "replace"))
    short = (fields.get("License-Expression") or fields.get("License") or "").strip()
    if short and len(short) <= 60 and is_permissive(short):
        return fields["Version"], short
    classified = [
        line.rpartition("::")[2].strip() for line in fields.get_all("Classifier", []) if line.startswith("License ::")
    ]
    return fields["Version"], "; ".join(classified) if len(classified) != 1 else classified[0]


def _npm_licence(archive: Path) -> tuple[str, str]:
    with tarfile.open(archive) as tar:
        member = next((m for m in tar if re.fullmatch(r"[^/]+/package\.json", m.name)), None)
        if member is None:
            raise KeyError("package.json")
        file = tar.extractfile(member)
        assert file is not None
        fields = json.load(io.TextIOWrapper(file, "utf-8"))
    licence = fields.get("license", "")
    return fields["version"], licence.strip("()") if isinstance(licence, str) else str(licence.get("type", ""))


def _fetch_all(packages: list[Package]) -> None:
    _fetch_debian([(p.name, p.version) for p in packages if p.source == "debian"])
    _fetch_binaries([(p.name, p.version) for p in packages if p.source == "debian-binary"])
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda p: _fetch_pypi(p.name, p.version), [p for p in packages if p.source == "pypi"]))
        list(threads.map(lambda p: _fetch_npm(p.name, p.version), [p for p in packages if p.source == "npm"]))
    changed = [
        p.name for p in packages if (p.folder() / p.archive).exists() and _sha256(p.folder() / p.archive) != p.sha256
    ]
    lacking = [p.name for p in packages if not (p.folder() / p.archive).exists()]
    print(f"{len(packages) - len(lacking)} of {len(packages)} packages are here")
    if lacking:
        print(f"no longer published as listed, left out: {' '.join(lacking)}")
    if changed:
        sys.exit(f"these are not what the manifest says (SHA-256 differs): {' '.join(changed)}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
