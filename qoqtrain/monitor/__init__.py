"""A run to look at, while it goes on and afterwards: curves by domain, rollouts with what they saw.

`run_folder` reads what a run has written, `curves` makes panels of its numbers and `chart` draws
them, `answered` takes questions of a step with their rollouts and images; `page` gathers and
renders, `app` serves it behind the gate of `qoqdata.serving`.
"""
