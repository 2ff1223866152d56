"""GRPO against DRPO: one small policy, one skewed set of nine domains, the same rollouts."""
