"""What can be wrong with a layout profile, and with what is to be written in one."""

from __future__ import annotations

from connectors.errors import ConnectorError
from models.errors import ConfigurationError, RefusedByPolicy, UsageError


class LayoutInvalid(ConnectorError, ConfigurationError):
    """The layout profile says something that it cannot mean."""


class LayoutUnknown(ConnectorError, UsageError):
    """There is no layout profile of this name."""


class NotCarried(ConnectorError, RefusedByPolicy):
    """The layout cannot carry what is to be written: nothing is cut, rounded or replaced to make it fit."""
