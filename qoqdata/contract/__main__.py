"""Write the JSON Schemas of the contract to `schemas/published/`."""

from qoqdata.contract.json_schema import publish

if __name__ == "__main__":
    publish()
