"""Whole stories, with real processes where the story is about processes."""
