"""Portfolios as lenders hand them in: files and queries of any layout, read through a mapping profile."""

from connectors.portfolio.errors import ColumnsMissing, ProfileInvalid, SourceUnreadable
from connectors.portfolio.mapping import mapped
from connectors.portfolio.profiles import Profile, load_profile, parse_profile, shipped_profiles, shipped_text
from connectors.portfolio.sources import Chunk, HeldFile, Source, open_source

__all__ = [
    "Chunk",
    "ColumnsMissing",
    "HeldFile",
    "Profile",
    "ProfileInvalid",
    "Source",
    "SourceUnreadable",
    "load_profile",
    "mapped",
    "open_source",
    "parse_profile",
    "shipped_profiles",
    "shipped_text",
]
