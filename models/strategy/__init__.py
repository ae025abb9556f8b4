"""Strategy by stage: which account goes to which stage of collection, softest first, and when an agency's turn is over.

The rules are TOML that a second person approved (docs/reference/strategies.md). Nothing here knows a store: accounts
and placements come in as columns, and moves and recalls go out as columns, each with the rule that asked for it.
"""
