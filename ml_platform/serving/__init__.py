"""The model server: bundles from disk, champions from the ledger, answers over HTTP. Needs no MLflow, no Dagster."""
