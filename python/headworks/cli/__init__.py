"""The ``headworks`` command: what people type, and the exit codes they get.

| file | owns |
|---|---|
| main.py | the app: which commands there are |
| run.py, check.py, show.py, certs.py, explain.py, demo.py | one command each: its words and options |
| shared.py | exit codes, how files are found and loaded, how it is said what is wrong |

0 fine, 1 failed while running, 2 wrong configuration or usage. A command is a few calls of the package, imported when
it runs so that ``headworks check`` stays quick. Colours on a terminal only.
"""

from headworks.cli.main import app, main

__all__ = ["app", "main"]
