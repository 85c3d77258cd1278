"""Will a bus be late? A pipeline of 45 made-up days, small enough to run whole in a test."""
