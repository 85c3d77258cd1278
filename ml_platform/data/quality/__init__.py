"""What a row and a partition must be: the schema, quarantine, checks, and the verdict by which training asks."""
