"""Stored models as functions: from the plain files of a fit to predictions, the same in a search and in a server."""
