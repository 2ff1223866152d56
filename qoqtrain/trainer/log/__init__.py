"""What a run tells while it goes on: numbers, rollouts, one line a step."""
