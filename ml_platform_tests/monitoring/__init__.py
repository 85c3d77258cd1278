"""What monitoring promises: profiles, drift, the retrain policy."""
