"""What the gate asks of everything that leaves: the released columns, no identifier in a text, nobody told apart."""
