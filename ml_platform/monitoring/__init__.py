"""What was deployed, watched: profiles of its inputs, drift against the champion's training rows, when to retrain."""
