"""Where release policies are found: the shipped ones, and an operator's own at home/policies/<name>.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.wiring import desk
from models import release
from models.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from models.release import Policy


def names() -> list[str]:
    """Every policy there is."""
    return sorted({*release.shipped(), *_own()})


def find(name: str) -> Policy:
    """The policy of that name. Raises UsageError where there is none, PolicyInvalid where it cannot be enforced.

    An own policy with a shipped one's name is refused: nobody could tell which of them a plan was approved under.
    """
    own = _own().get(name)
    if own is None:
        if name not in release.shipped():
            raise UsageError(f"there is no policy {name!r}", fix=f"there are {', '.join(names())}")
        return release.load(name)
    if name in release.shipped():
        raise ConfigurationError(f"{own} has the name of a policy that comes with Consign", fix="give it another name")
    policy = release.Policy.parse(own.read_text(encoding="utf-8"))
    if policy.name != name:
        raise ConfigurationError(f"{own} calls itself {policy.name!r}", fix="give file and policy one name")
    return policy


def _own() -> dict[str, Path]:
    folder = desk().settings.home / "policies"
    return {file.stem: file for file in sorted(folder.glob("*.toml"))}
