"""How well each agency recovers against what was to be expected of its accounts, and how sure that is.

Values in, values out: frames of placements and remittance lines become an `Assessment` (models/scoring/assessment.py).
Statistics are floats; the ledger's money stays in integer minor units beside them.
"""
