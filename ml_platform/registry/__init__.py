"""Registered versions and the bundle they are: files that can be verified, in MLflow and on disk."""
