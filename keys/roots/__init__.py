"""How the root key is had that seals the keyring: a key file, a passphrase, the system's keyring, Vault, AWS KMS."""
