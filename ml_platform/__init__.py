"""An open-source ML data platform on Dagster: from raw data to a served, watched and retrained model."""
