"""The processes of the link's benchmark: load, forwarder and relay; ``bench.link`` starts them."""
