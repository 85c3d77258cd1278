"""What the rooms agree on: the pipeline spec, records, ports and errors. Imports pydantic alone."""
