"""From a source to trusted tables: sources, the lake with its versions, schema and quarantine, splits."""
