"""Draw values on a terminal, as a picture, or as text that draws one."""
