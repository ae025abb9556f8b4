"""Bank statements as frames: what arrived, on which account, under which reference."""
