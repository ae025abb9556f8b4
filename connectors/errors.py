"""The base class of what goes wrong at the edge: drops, portfolio sources, layouts, bank statements."""

from __future__ import annotations

from models.errors import ConsignError


class ConnectorError(ConsignError):
    """The outside world, or a file that came from it, is not as it must be."""
