"""How the plugin is built: from this checkout to ``dist/plugin`` and onto an engine."""
