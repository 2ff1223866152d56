"""`python -m qoqdata`: the command where no script is on the path."""

from qoqdata.cli.main import run

if __name__ == "__main__":
    run()
