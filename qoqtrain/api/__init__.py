"""What the commands do, as functions: typed, silent, and reached as `qoqtrain.train` and so on.

`training` is about policies that learn, `evaluating` about how well they answer. Long work takes a
callback `progress`; without one nothing is shown.
"""
