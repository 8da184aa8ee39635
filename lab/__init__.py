"""The lab, an emulated Debian machine with Docker and CAN, and testbeds for tests and demo."""
