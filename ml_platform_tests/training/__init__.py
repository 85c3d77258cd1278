"""Trainers and baselines."""
