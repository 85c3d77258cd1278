"""The whole loop on real flights in a few minutes: what a newcomer runs first."""
