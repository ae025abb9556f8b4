"""People of the console: accounts, signing in, sessions."""
