"""Delta tables, what each commit says of itself, and what follows from it: lineage, provenance, retention."""
