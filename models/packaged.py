"""The rules and profiles that come with Consign: TOML files packed beside the code that reads them."""

from __future__ import annotations

from importlib import resources


def names(package: str, folder: str) -> tuple[str, ...]:
    """The names of the TOML files in a package's folder, in order, without their ending."""
    files = (resources.files(package) / folder).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def text(package: str, folder: str, name: str) -> str:
    """What the file of that name holds."""
    return (resources.files(package) / folder / f"{name}.toml").read_text(encoding="utf-8")
