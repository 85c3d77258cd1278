"""The pipelines, one folder each: a user's own room."""
