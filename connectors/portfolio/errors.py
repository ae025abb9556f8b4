"""What can be wrong with a profile or a source as a whole; single lines are refused by code instead."""

from __future__ import annotations

from connectors.errors import ConnectorError
from models.errors import ConfigurationError, Findings, UsageError


class ProfileInvalid(ConnectorError, ConfigurationError):
    """The mapping profile says something that it cannot mean."""


class ProfileUnknown(ConnectorError, UsageError):
    """There is no profile of this name."""


class SourceMissing(ConnectorError, UsageError):
    """There is no such file, or no query to run."""


class SourceUnreadable(ConnectorError, Findings):
    """The file is not what the profile says: another encoding, damaged, cut off, or of no known kind."""


class ColumnsMissing(ConnectorError, Findings):
    """The source lacks columns that the profile maps, or names one twice."""
