"""In-memory stand-ins for the ports, used by the tests of every room."""
