"""What a model is worth: metrics, gates and their verdicts, and the pictures and tables that show them."""
