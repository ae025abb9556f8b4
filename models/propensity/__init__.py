"""How likely a debtor pays within so many days of placement, and how much: by the account, never by the person.

Values in, values out. A `Model` (models/propensity/model.py) is fitted on one lender's placements, calibrated on later
ones and measured on later ones still; it is plain numbers, can be written as JSON and read back, and says of each
account which fact moved it how far.
"""
