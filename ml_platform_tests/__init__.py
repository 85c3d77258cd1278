"""The tests of the platform, one folder for each room."""
