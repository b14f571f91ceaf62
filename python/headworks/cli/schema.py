"""``headworks schema``: the JSON Schema of the configuration, for editors."""

import typer

EXAMPLE = "Example: headworks schema > headworks.schema.json, and on the first line of the file: #:schema PATH"


def schema() -> None:
    """Print the JSON Schema of the configuration, with which editors complete and check it as it is typed."""
    import json

    from headworks.config.schema import schema as made

    typer.echo(json.dumps(made(), indent=2, ensure_ascii=False))
