"""What the tools, the lab, the demo and the benchmark share."""
