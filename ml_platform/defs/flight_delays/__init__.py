"""Will a flight land 15 minutes late or more? The example pipeline, on real data."""
