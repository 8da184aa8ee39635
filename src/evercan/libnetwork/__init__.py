"""The engine's remote network driver protocol: HTTP in, the driver's verbs, answers out."""
