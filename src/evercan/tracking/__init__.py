"""What is remembered between two reconcile passes, one class for each thing."""
