"""Success rates of a linear probe on frozen features: how far a simple reader gets."""

SCORER = "label F1, out of fold"
#: Questions of a source and task that are probed: enough for a mean to two digits.
LIMIT = 5000
