"""The console's actions as JSON under /api/v1: the same permissions and functions, tokens in place of browsers."""
