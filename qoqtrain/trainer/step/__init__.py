"""One training step. Read `policy_step`, then what it calls, in this order:

sampling      questions to rollouts, by the policy itself or by a server
scoring       rollouts to rewards, rewards of all ranks to DRPO advantages
update        advantages to optimizer steps
sequences     prompts with responses to log-probabilities
loss          log-probabilities and advantages to the clipped loss
supervised    the other kind of step: cross-entropy on what the records say
"""
