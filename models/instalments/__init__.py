"""Personalised instalment plans: limits by ability and willingness to pay, verdicts on proposals, kept or broken.

The limits are TOML that a second person approved (docs/reference/strategies.md#instalment-plans). Money is int minor
units, discounts are `Decimal`; proposals, payments and contacts come in as columns.
"""
