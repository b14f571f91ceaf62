"""Providers: servers that are found while a proxy runs, by files, lists behind URLs, Docker, Consul and Python.

| file | owns |
|---|---|
| base.py | Provider: the class that people derive from |
| sets.py | what a provider yields, as servers |
| source.py, sources.py | one that is followed over its life; all those of a proxy |
| file.py, http.py, docker.py, consul.py | those that come with the package |
| client.py | the HTTP client of theirs |
"""
