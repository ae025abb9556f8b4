"""Drops: where packages are left for an agency and found from it. One interface, two kinds: `sftp` and `folder`.

`open_drop(settings)` gives the drop that the settings describe; `connectors.drops.contract` says what it promises.
"""

from __future__ import annotations

from connectors.drops.contract import Claimed, Drop, Entry, Fetched, Ignored, Look, Outgoing, Probe, Pushed
from connectors.drops.folder import FolderDrop
from connectors.drops.settings import DropSettings, FolderSettings, SftpSettings

__all__ = [
    "Claimed",
    "Drop",
    "DropSettings",
    "Entry",
    "Fetched",
    "FolderSettings",
    "Ignored",
    "Look",
    "Outgoing",
    "Probe",
    "Pushed",
    "SftpSettings",
    "open_drop",
]


def open_drop(settings: DropSettings) -> Drop:
    """The drop that `settings` describe, not reached yet: its context opens it, and closes it at the end."""
    if isinstance(settings, FolderSettings):
        return FolderDrop(settings)
    from connectors.drops.sftp import SftpDrop  # noqa: PLC0415 - paramiko takes a tenth of a second to import

    return SftpDrop(settings)
