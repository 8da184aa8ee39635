"""Judge what ``evercan doctor`` has found on the host, the engine and the plugin; no I/O."""
