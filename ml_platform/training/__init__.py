"""From a training set to a model as plain files: trainers and the baselines every model has to beat."""
