"""Reconciling, as rules over frames: what a remittance line is tied to, in which state it is, what is left to a person.

Three links per line: to the placement it was collected under (links), to the money received (cash), to the agency's
invoice (invoices). Frames come in and go out; nothing here knows a database. The rules, their order and the states
are those of docs/reference/breaks.md.
"""
