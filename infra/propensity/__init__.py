"""Models of who pays: made of a lender's placements, approved by a second person, asked about accounts, watched.

Off unless the setting `propensity` says otherwise; nothing else in the house needs it.
"""
