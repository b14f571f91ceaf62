"""Becoming an ordinary user: looked up before anything is bound, dropped to after everything is.

Must never leave a way back: real, effective and saved ids all change, and the supplementary groups with them.
"""

import grp
import os
import pwd
import resource
from dataclasses import dataclass

from headworks import late
from headworks.config import Config, ConfigError, Problem
from headworks.config.models.whole import Whole
from headworks.config.problems import closest, did_you_mean
from headworks.config.values import quote


@dataclass(frozen=True)
class Identity:
    """The user and group to become."""

    user: int
    group: int
    groups: tuple[int, ...]

    @classmethod
    def of(cls, config: Config) -> "Identity | None":
        """Look up ``proxy.user`` and ``proxy.group``; None when we stay who we are.

        Raises ConfigError for a name that the system does not know, or when we are not root and would have to change.
        """
        settings = config.proxy
        if settings.user is None and settings.group is None:
            return None
        problems: list[Problem] = []
        user = _user(settings.user, problems)
        group = _group(settings.group, problems)
        if problems:
            raise ConfigError(problems)
        number = user.pw_uid if user else os.getuid()
        main = group if group is not None else user.pw_gid if user else os.getgid()
        others = os.getgrouplist(user.pw_name, main) if user and group is None else [main]
        identity = cls(number, main, tuple(others))
        if os.geteuid() != 0 and (number, main) != (os.getuid(), os.getgid()):
            key = "user" if settings.user is not None else "group"
            raise ConfigError([Problem(path=("proxy", key), reason="only root can become somebody else")])
        return identity

    def assume(self) -> None:
        """Become this user for good, in every thread. Raises OSError."""
        if os.geteuid() != 0:
            return
        late.load()
        os.setgroups(self.groups)
        os.setresgid(self.group, self.group, self.group)
        os.setresuid(self.user, self.user, self.user)


def unknown(config: Whole) -> list[Problem]:
    """Return a problem for a user and a group that this system does not know."""
    problems: list[Problem] = []
    _user(config.proxy.user, problems)
    _group(config.proxy.group, problems)
    return problems


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open descriptors to the hard one: each connection takes two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _user(name: str | None, problems: list[Problem]) -> pwd.struct_passwd | None:
    if name is None:
        return None
    try:
        return pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        near = closest(name, [entry.pw_name for entry in pwd.getpwall()])
        problems.append(_unknown("user", name, near))
        return None


def _group(name: str | None, problems: list[Problem]) -> int | None:
    if name is None:
        return None
    try:
        return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        near = closest(name, [entry.gr_name for entry in grp.getgrall()])
        problems.append(_unknown("group", name, near))
        return None


def _unknown(key: str, name: str, near: str | None) -> Problem:
    return Problem(
        path=("proxy", key),
        reason=f"this system has no {key} {quote(name)}",
        suggestion=did_you_mean(quote(near)) if near else None,
    )
