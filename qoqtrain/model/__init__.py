"""The policy: a Qwen vision-language model with an ECG branch, and the processor that feeds it."""
