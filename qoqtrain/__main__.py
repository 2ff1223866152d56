"""`python -m qoqtrain`: the command where no script is on the path."""

from qoqtrain.cli import run

if __name__ == "__main__":
    run()
