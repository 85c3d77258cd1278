"""Measurements of the platform against its peers, in one run each; results go to RESULTS.md."""
