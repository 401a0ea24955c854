"""Who is at the page, and what may that person do. No Gradio in here: of a request only attributes are read.

Every handler that writes asks `People.may` itself: a hidden button is no lock, the endpoint behind it can be called
by anybody. How people are known depends on where the page runs:

    names   a laptop: whoever sits there types a name once, and may do everything
    users   a lab server: name and password, of the file that `python -m annotate user add` writes
    hub     a Hugging Face Space: its login; roles by TINYRS_ANNOTATORS, TINYRS_REVIEWERS and TINYRS_ADMINS
    closed  strangers can reach the page, and there is no way to log in: nobody may write
"""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from annotate import rules
from annotate.users import FILE, ROLES, Users
from tinyrs.config import Config

WAYS = ("names", "users", "hub", "closed")

NEEDS = {
    "correct": "annotator",
    "review": "reviewer",
    "agreement": "reviewer",
    "import": "admin",
    "export": "admin",
}
"""The least role that may do each thing."""

_DOING = {
    "correct": "correct captions",
    "review": "accept, reject or set aside captions",
    "agreement": "see how well people agree",
    "import": "import captions",
    "export": "export captions",
}

LOGIN = "Corrections need a login on this public page; flags do not."
NAMELESS = "Write your name first: it is stored with every correction."


@dataclass(frozen=True)
class People:
    """How people are known here (`way`, one of WAYS), and who they are: `lists` by role on a Space (the name "*"
    is everybody who logged in), `users` on a lab server."""

    way: str = "names"
    users: Users | None = None
    lists: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def alone(self) -> bool:
        """Whether one person corrects and accepts."""
        return self.way == "names"

    def login(self, request: object) -> str | None:
        """The name that this visitor logged in with, None without a login."""
        if self.way == "users" and self.users:
            name = getattr(request, "username", None)
            return self.users.named(name) if name else None
        name = _hub_name(getattr(request, "request", None)) if self.way == "hub" else None
        return rules.person(name) if name else None

    def check(self, name: str, password: str) -> bool:
        """Whether somebody may log in by this name and password: what Gradio's own login page asks."""
        return self.users is not None and self.users.check(name, password)

    def role(self, name: str) -> str | None:
        """The role of somebody who is known by this name: of ROLES, or None."""
        if self.way == "names":
            return ROLES[-1]
        if self.way == "users" and self.users:
            return self.users.role(name)
        if self.way == "hub":
            listed = [role for role in ROLES if {name.casefold(), "*"} & self.lists.get(role, frozenset())]
            return listed[-1] if listed else None
        return None

    def may(self, request: object, what: str, typed: str = "") -> str:
        """The name of the person who wants to do `what` (of NEEDS), as it is stored with what that person writes.

        `typed` is the name in the page's field, which counts on a laptop alone. Raises Refused with a sentence when
        that person may not, or nobody knows who it is.
        """
        if self.way == "names":
            if not (typed or "").strip():
                raise rules.Refused(NAMELESS)
            return rules.person(typed)
        name = self.login(request)
        if name is None:
            raise rules.Refused(LOGIN)
        if not self.can(name, what):
            raise rules.Refused(
                f"{name} may not {_DOING[what]} here: that takes the role {NEEDS[what]}, which whoever runs this page "
                "can give."
            )
        return name

    def can(self, name: str, what: str) -> bool:
        """Whether the role of `name` is enough for `what`."""
        role = self.role(name)
        return role in ROLES and ROLES.index(role) >= ROLES.index(NEEDS[what])


def here(config: Config | None = None, host: str | None = None) -> People:
    """How people are known where this process runs; `host` is the address that the page listens on.

    A Space asks the hub, where its login is switched on (hf_oauth in README.md). A file of users asks for passwords.
    Without either, typed names are believed on a loopback address only, unless TINYRS_PEOPLE=names says that
    something in front of the page keeps strangers out. Raises SystemExit for another TINYRS_PEOPLE.
    """
    config = config or Config()
    users = Users(config.data / FILE)
    way = os.environ.get("TINYRS_PEOPLE", "")
    if way and way not in WAYS:
        raise SystemExit(f"TINYRS_PEOPLE must be one of {', '.join(WAYS)}, not {way!r}.")
    if not way and os.environ.get("SPACE_ID"):
        # Without the secret anybody could sign a login's cookie.
        way = "hub" if os.environ.get("OAUTH_CLIENT_SECRET") else "closed"
    elif not way:
        way = "users" if Path(users.path).exists() else "names" if _loopback(host) else "closed"
    return People(way, users, _lists())


def _lists() -> dict[str, frozenset[str]]:
    lists = {role: _names(f"TINYRS_{role.upper()}S") for role in ROLES}
    # Whoever the Space belongs to need not be named.
    owner = os.environ.get("SPACE_AUTHOR_NAME", "").casefold()
    lists["admin"] |= frozenset([owner] if owner else ())
    return lists


def _names(variable: str) -> frozenset[str]:
    return frozenset(name.casefold() for name in os.environ.get(variable, "").replace(",", " ").split())


def _loopback(host: str | None) -> bool:
    host = host or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hub_name(request: object) -> str | None:
    """The hub's name in the signed cookie of a request, while the login is valid."""
    session = getattr(request, "scope", {}).get("session") or {}
    found = session.get("oauth_info") or {}
    until = found.get("expires_at")
    if until is not None and until < time.time():
        return None
    return (found.get("userinfo") or {}).get("preferred_username")
