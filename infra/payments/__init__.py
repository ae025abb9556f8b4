"""What agencies are paid: proposed from statements, approved by others, given to the bank, seen on its statement."""
