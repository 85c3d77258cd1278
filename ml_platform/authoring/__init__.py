"""From a bounded sample of somebody's files to the folder of a pipeline that loads and trains as it stands.

Put here what `ml-platform new` and Dagster's scaffolder decide and write: key, task, cadence, features, leaks, split,
and the YAML. Running a pipeline is not its business, and it knows nothing of Dagster.
"""
