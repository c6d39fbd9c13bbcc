"""Linear probes: what can be read off a role token's hidden state, layer by layer."""
