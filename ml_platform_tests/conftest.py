"""What holds for every test: no time limits inside hypothesis, since the machine's speed is not what is tested."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
