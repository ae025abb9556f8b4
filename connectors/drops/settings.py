"""What a drop needs to be opened. Where the values come from (database, TOML, vault) is the caller's business."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_BYTES = 4 * 2**30
"""A package of a million accounts is about 0.2 GB; beyond 4 GB something is wrong with it."""

MAX_NAMES = 20_000
"""A directory of an agency holds dozens of names; a round that looks at so many has enough to do."""

TRANSFER_SECONDS = 4 * 3600.0
"""4 GB in that time are 300 KB a second; whoever is slower is not waited for."""

SETTLE_SECONDS = 5.0
"""Between the two looks at a file that nothing else declares complete."""


@dataclass(frozen=True)
class SftpSettings:
    """An agency's SFTP server, as agreed at onboarding.

    host_keys: pinned public keys, OpenSSH lines (`ssh-ed25519 AAAA...`); several while the agency rotates. Without a
        pinned key nothing is opened: there is no trust on first use.
    private_key: ours, OpenSSH or PEM text; kept out of `repr`.
    older_keys: ours of before, offered in this order to a server that does not know the newer ones yet.
    to_agency, from_agency: directories on the server, absolute or relative to where the login lands.
    connect_timeout: seconds for all of connecting, handshake, log-in and channel.
    stall_timeout: seconds without any movement after which the connection is given up.
    transfer_timeout: seconds for all of one file, or of one listing, whatever moves.
    settle_seconds: between two looks at a file that nothing declares complete.
    max_bytes: the largest file taken. max_names: so many names of a directory are looked at in one round.
    renames: whether the server can rename. Without it, collecting fetches in place and removes what is recorded, and
        nothing is published: see docs/reference/sftp-servers.md.
    """

    host: str
    port: int
    username: str
    host_keys: tuple[str, ...]
    private_key: str = field(repr=False)
    older_keys: tuple[str, ...] = field(default=(), repr=False, kw_only=True)
    to_agency: str = "to_agency"
    from_agency: str = "from_agency"
    connect_timeout: float = 20.0
    stall_timeout: float = 60.0
    transfer_timeout: float = TRANSFER_SECONDS
    settle_seconds: float = SETTLE_SECONDS
    max_bytes: int = MAX_FILE_BYTES
    max_names: int = MAX_NAMES
    renames: bool = True


@dataclass(frozen=True)
class FolderSettings:
    """A local or mounted folder that both sides reach."""

    root: Path
    to_agency: str = "to_agency"
    from_agency: str = "from_agency"
    settle_seconds: float = SETTLE_SECONDS
    max_bytes: int = MAX_FILE_BYTES
    max_names: int = MAX_NAMES


DropSettings = SftpSettings | FolderSettings
