"""How lenders' columns are read: the mapping profiles that come with Consign, and the house's own below home."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connectors.portfolio import ProfileInvalid, load_profile, parse_profile, shipped_profiles, shipped_text
from infra import audit
from infra.ownfiles import Shelf
from keys.files import write_private

if TYPE_CHECKING:
    from connectors.portfolio import Profile
    from infra.wiring import Desk

FOLDER: Final = "portfolio-profiles"
SHELF: Final = Shelf(
    FOLDER, "mapping profile", shipped_profiles, load_profile, lambda text: parse_profile(text, where="the profile")
)


def find(name_or_path: str) -> Profile:
    """The profile of that name, or the one in that file (`….toml`).

    Raises ProfileUnknown for neither, ProfileInvalid with all that is wrong with it.
    """
    is_own = not name_or_path.endswith(".toml") and name_or_path not in shipped_profiles()
    if is_own and name_or_path in SHELF.names():
        return SHELF.find(name_or_path)
    return load_profile(name_or_path)


def text_of(desk: Desk, name: str) -> str:
    """The profile of that name as it is written."""
    own = desk.folder(FOLDER) / f"{name}.toml"
    return own.read_text(encoding="utf-8") if name not in shipped_profiles() else shipped_text(name)


def keep(desk: Desk, text: str, *, dry_run: bool = False) -> Profile:
    """The profile lies below home under its own name, for the next file that is handed in; a later version replaces it.

    Raises ProfileInvalid for what is none, for the name of one that comes with Consign, and where a version would
    change or go back: a portfolio remembers by which one it was read.
    """
    made = SHELF.parse(text)
    if made.name in shipped_profiles():
        raise ProfileInvalid(f"{made.name} comes with Consign", fix="give yours another name")
    path = desk.folder(FOLDER) / f"{made.name}.toml"
    if path.is_file():
        before = path.read_text(encoding="utf-8")
        if before == text:
            return made
        if made.version <= SHELF.parse(before).version:
            raise ProfileInvalid(
                f"there is another {made.reference} already, or a later one", fix="raise `version` in the profile"
            )
    if not dry_run:
        write_private(path, text.encode())
        with desk.database.write() as connection:
            details: dict[str, audit.Value] = {"version": str(made.version)}
            audit.record(connection, desk.actor, "profile.kept", f"profile:{made.name}", details, desk.now())
    return made
