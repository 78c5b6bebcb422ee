"""The Python that the programs run in: it finds its own modules first, reads file names as UTF-8, and has its streams.

`settle` comes before any import that a file of another directory could answer, so this module imports only what is
built into the interpreter. Our first line comes after some imports of Python's own: a `types.py` on PYTHONPATH ends
each program that pip has installed, unless it is started by ``python -I -m regend``.
"""

from __future__ import annotations

import os
import sys

_CHILD = 'import sys; sys.path[:] = sys.argv.pop(1).split("\\n"); '


def daemon() -> int:
    """Run `regend`; return the exit status."""
    return _run("regend.__main__")


def control() -> int:
    """Run `regenctl`; return the exit status.

    A command lives for a few hundredths of a second, a third of which would be Python's own: to look for garbage while
    modules are imported, and to take them apart at the end.
    """
    import gc

    gc.disable()  # `regend.cli.main` switches it on again.
    try:
        status = _run("regend.cli.main")
    except SystemExit as end:  # After help, or a wrong command line.
        if not isinstance(end.code, int):
            raise
        status = end.code
    except KeyboardInterrupt:  # While modules were imported; later, `regend.cli.main` answers it.
        status = 130
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            return status  # Python says so in its own way.
    os._exit(status)


def _run(module: str) -> int:
    settle()
    from importlib import import_module

    status: int = import_module(module).main()
    return status


def settle() -> None:
    """Make this process independent of the place and the environment in which it was started.

    It may replace the process, so nothing may have been done before.
    """
    _fill_standard_streams()
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode and sys.executable:
        # File names are bytes, nearly always of UTF-8, and the programs exchange them as text.
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - ourselves.
    sys.path[:] = own_modules_first(sys.path, os.__file__)
    if sys.warnoptions:
        # A warning in a library must not become an error because the user wants that of his own programs.
        import warnings

        warnings.resetwarnings()
        warnings.simplefilter("ignore")
    os.umask((os.umask(0o077) | 0o022) & 0o077)  # Our files are always ours to read, and never others' to write.


def own_modules_first(path: list[str], library_file: str) -> list[str]:
    """Return the module path with what stands before the standard library at its end.

    Those are the working directory, or that of the script, and PYTHONPATH. Other programs put a `queue.py` there; an
    installation by ``pip install --target`` still finds its packages there.

    Args:
        library_file: file of a module of the standard library.
    """
    library = os.path.dirname(library_file)  # noqa: PTH120 - pathlib could be the file of another directory.
    archive = f"{os.path.dirname(library)}/python{sys.version_info[0]}{sys.version_info[1]}.zip"  # noqa: PTH120
    places = [place for place, entry in enumerate(path) if entry in (library, archive)]
    first = places[0] if places else 0
    return path[first:] + path[:first]


def child_command(code: str) -> list[str]:
    """Return the command of a Python that runs `code`, finds the modules of this process, and ignores PYTHON*.

    Arguments that are put behind it are `sys.argv[1:]` of the code.
    """
    path = "\n".join(entry for entry in sys.path if entry.startswith("/"))
    return [sys.executable, "-I", "-X", "utf8", "-c", _CHILD + code, path]


def _fill_standard_streams() -> None:
    """Open standard streams that the starter closed: else the catalog could become file descriptor 2 and be damaged."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
