"""Models of who pays: made of a lender's placements, approved by a second person, asked about accounts, watched.

Off until two people say otherwise, or the setting `propensity` does; nothing else in the house needs it.
"""
