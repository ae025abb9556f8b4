"""The outside: drops that carry packages, portfolio sources, layouts, bank statements."""
