"""Scripts of the image build: they assemble and check the plugin's root file system."""
