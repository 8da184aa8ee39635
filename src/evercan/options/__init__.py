"""What users may ask for: the options, checked before anything happens; pure."""
