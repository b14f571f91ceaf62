"""nginx's configuration: http as a reverse proxy, and stream.

| file | owns |
|---|---|
| reader.py | files to statements: crossplane, includes followed, comments kept beside what they are about |
| values.py | sizes, times, addresses and texts with variables |
| names.py | `server_name` as keys of a table, and as a condition in Python |
| scene.py | what all parts share: which directive holds where, and what became of it |
| backends.py | `upstream`, `proxy_pass` and what is beside it, as backends |
| locations.py | what a location does with a request |
| servers.py | `server` blocks of http as listeners and tables |
| streams.py | `server` blocks of stream, `map` of server names |
| translation.py | a whole file |
"""
