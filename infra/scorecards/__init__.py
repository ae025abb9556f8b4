"""Scorecards: a run's figures as pages for people and as CSV. Self-contained HTML, charts drawn here, no scripts."""
