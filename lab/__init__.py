"""A stock Debian machine with Docker, CAN modules and CAN controllers, anywhere."""
