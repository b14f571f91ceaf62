"""Importing: configurations of other proxies, read as they read them and told in ours.

| file | owns |
|---|---|
| sniproxy/ | sniproxy.conf: its words, its statements, its tables, and what each of them is here |
| haproxy/, nginx/ | the same of HAProxy and nginx |
| guess.py, convert.py | which of them a file is; all that is made of it |
| draft.py, flaws.py, ledger.py, translated.py | a configuration while it is made, and what became of each statement |
| targets.py, rulefile.py, patterns.py | ways in turn as a table, else as rules; expressions that are ours, too |
| report.py | which statement became what: converted, with a difference, needs nothing, not supported |
| written.py | a configuration as TOML with the comments of the file that it comes from |
| lint.py | patterns that match more, or less, than they seem to |

Must never run anything, or guess: a statement that cannot be told in ours is said to be so, with its line.
"""
