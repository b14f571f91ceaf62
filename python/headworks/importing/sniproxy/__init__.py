"""sniproxy.conf, as sniproxy 0.6 and 0.7 read it.

| file | owns |
|---|---|
| words.py | bytes to words, braces, ends of lines and comments |
| statements.py | words to statements and blocks, comments kept beside what they are about |
| tree.py | what a file may say, typed |
| addresses.py, switches.py | kinds of words: addresses and ports; names, levels, yes and no |
| reader.py, listeners.py | statements to the tree; everything that is wrong, at once |
| syntax.py, emit.py, expressions.py, overlap.py | patterns: what they say, and in ours; which of them meet |
| order.py | entries in file order to entries of a table that decide the same |
| names.py, routes.py, translation.py | the tree to a configuration of ours |
| source.py | text to a configuration with the lines of the file |
"""
