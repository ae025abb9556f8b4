"""Which agency gets which debtor, and why: a plan's spec, segments, exclusions, allocation and preview. Pure."""
