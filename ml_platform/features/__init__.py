"""From the columns known when a prediction is asked for to the numbers a model sees, the same offline and online."""
