"""Pages from templates, read in one way: nothing is shown unescaped, and nothing asked for is silently empty."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def environment(package: str) -> Environment:
    """The templates that lie in the package, autoescaped; what a page asks for and was not given is an error."""
    return fresh(package)


def fresh(package: str, *extensions: str) -> Environment:
    """Likewise, one of the caller's own, for filters and extensions that others do not want."""
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=extensions,
        trim_blocks=True,
        lstrip_blocks=True,
    )
