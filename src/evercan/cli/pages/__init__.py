"""Draw values on a terminal or as a picture."""
