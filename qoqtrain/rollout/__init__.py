"""Rollouts: sampled answers of the policy, from its own weights or from a server."""
