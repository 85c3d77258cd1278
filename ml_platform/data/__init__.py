"""From a source to trusted tables: sources, the lake, quality, splits, and the calendar that they share."""
