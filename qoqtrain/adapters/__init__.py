"""DRPO inside the trainers of others. Each module here imports its engine; nothing else does.

qoqtrain.adapters.trl              DRPOTrainer, a GRPOTrainer of TRL
qoqtrain.adapters.trl_processor    what it takes images by, without torchvision
qoqtrain.adapters.verl             the trainer "drpo" of verl
qoqtrain.adapters.export_rewards   reward functions of both, for what `qoqdata export` writes
"""
