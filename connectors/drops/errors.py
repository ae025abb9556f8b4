"""What can go wrong with a drop. What trying again may mend is a `RemoteError`; what it cannot is a `RemoteRefused`.

Messages name hosts, directories and file names (made safe to print), never a byte of a file's content.
"""

from __future__ import annotations

from connectors.errors import ConnectorError
from models.errors import RemoteError, RemoteRefused


class DropUnreachable(ConnectorError, RemoteError):
    """No connection, or it was lost; what had begun may or may not have been done."""


class DropStalled(ConnectorError, RemoteError):
    """Nothing moved for the time allowed, and the watchdog closed the connection."""


class RemoteFailed(ConnectorError, RemoteError):
    """The server answered a request with a failure that it does not explain."""


class RemoteFull(ConnectorError, RemoteError):
    """No room for the file: nothing was published; somebody has to make room."""


class ChangedWhileRead(ConnectorError, RemoteError):
    """The file was cut, grown or replaced while it was read; nothing of it was kept."""


class TakenByAnother(ConnectorError, RemoteError):
    """Another collector claimed the file first, or an earlier one of the same name awaits its archiving."""


class HostKeyMismatch(ConnectorError, RemoteRefused):
    """The server does not hold any of the pinned host keys: perhaps it is not the agency's server at all."""


class AuthRefused(ConnectorError, RemoteRefused):
    """The server did not let us in with our key alone."""


class PermissionRefused(ConnectorError, RemoteRefused):
    """We are in, but may not do this in that directory."""


class DirectoryMissing(ConnectorError, RemoteRefused):
    """A directory of the drop does not exist on the other side."""


class Unsupported(ConnectorError, RemoteRefused):
    """The server cannot do what the exchange needs, or speaks no common algorithm."""


class BadAnswer(ConnectorError, RemoteRefused):
    """The server broke the protocol: a reply nobody asked for, or longer than asked for."""


class ExistsButDifferent(ConnectorError, RemoteRefused):
    """The name is taken by other content; nothing was replaced."""


class HostileName(ConnectorError, RemoteRefused):
    """A file name that could reach outside its directory, or that no terminal should print."""


class TooLarge(ConnectorError, RemoteRefused):
    """The file is larger than this drop accepts; nothing of it was kept."""


class NotAsDeclared(ConnectorError, RemoteRefused):
    """The content is not what the sender's `.done` file says it is."""


class FileNotAsRecorded(ConnectorError):
    """The local file is not the one that was recorded for sending; nothing was published."""


class LocalDiskFailed(ConnectorError):
    """What was fetched could not be kept here; nothing of it was."""
