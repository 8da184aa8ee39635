"""The values that every other package uses: what is declared, observed, planned and wrong."""
