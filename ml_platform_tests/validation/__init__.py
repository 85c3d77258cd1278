"""What validation promises: metrics, gates, pictures and tables."""
