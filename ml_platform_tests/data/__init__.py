"""Sources, the lake, quality and splits."""
