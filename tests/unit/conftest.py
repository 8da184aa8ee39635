"""What all unit tests share."""

from tests.support import profiles

profiles.load()
