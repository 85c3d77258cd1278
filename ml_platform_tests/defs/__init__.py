"""The pipelines of this project, on their real data."""
