"""Unreadable files: why one cannot be read, in words, and what can be done.

Owns looking at what is around the file. Must never change anything, or read the file.
"""

from pathlib import Path


def why(file: Path, error: OSError) -> str:
    """Return the reason, and a remedy where there is one."""
    reason = error.strerror or str(error)
    try:
        if isinstance(error, FileNotFoundError):
            return f"{reason}{_near(file)}"
        if isinstance(error, IsADirectoryError):
            inside = sorted(one.name for one in file.glob("*.toml"))
            return f"it is a directory; name the file in it{f', such as {file / inside[0]}' if inside else ''}"
        if isinstance(error, PermissionError):
            return f"{reason}{_rights(file)}"
    except OSError:
        pass  # what is around cannot be looked at, either
    return reason


def _near(file: Path) -> str:
    """Say what is missing of the path, or which file was probably meant."""
    from headworks.config.problems import closest

    missing = next((one for one in reversed(file.absolute().parents) if not one.exists()), None)
    if missing is not None:
        return f"; there is no directory {missing}"
    beside = {one.stem: one for one in sorted(file.absolute().parent.glob("*.toml"))}
    near = closest(file.stem, list(beside))
    return f"; did you mean {file.with_name(beside[near].name)}?" if near else ""


def _rights(file: Path) -> str:
    """Say whose the file is, or which directory on the way is closed."""
    import os
    import stat

    closed = next(
        (one for one in reversed(file.absolute().parents) if not os.access(one, os.X_OK, effective_ids=True)), None
    )
    place = closed or file
    found = place.stat()
    what = f"the directory {closed}" if closed else "it"
    mode = stat.S_IMODE(found.st_mode)
    return f": {what} is {_user(found.st_uid)}'s with mode {mode:04o}, and we are {_user(os.geteuid())}"


def _user(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
