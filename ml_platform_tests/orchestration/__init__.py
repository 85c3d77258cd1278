"""Tests of the orchestration room."""
