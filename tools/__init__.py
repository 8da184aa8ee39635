"""Commands that build the plugin, its images and the documentation, and install the plugin."""
