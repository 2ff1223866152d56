"""DRPO inside the trainers of others. Each module here imports its engine; nothing else does.

qoqtrain.adapters.trl     DRPOTrainer, a GRPOTrainer of TRL
qoqtrain.adapters.verl    the trainer "drpo" of verl
"""
