"""Conduct: what the law asks of those who contact debtors, and whether agencies kept to it.

A rule pack (packs/*.toml) holds the rules of one jurisdiction, each with its clause; counters say which reported
contacts break a rule. Everything here is a function of frames: no store, no clock (docs/how-to/audit-conduct.md).
"""
