"""How the declared state changes: by the engine's calls, by what is observed, by adoption; pure."""
