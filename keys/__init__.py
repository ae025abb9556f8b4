"""Keys: pseudonyms, sealing, the vault's cells and the keyring; the one room that sees key bytes."""
