"""Where records of fits and evaluations go for people to look at: MLflow always, others as the spec asks."""
