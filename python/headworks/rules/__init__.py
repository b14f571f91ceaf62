"""Rules: Python functions that decide about requests, responses and hellos, and are compiled to native code.

| file | owns |
|---|---|
| rule.py, function.py | ``@rule``: a function that runs as Python and compiles to a program |
| subjects.py, fields.py, heads.py | what rules look at: Request, Response, Hello; their fields; heads from bytes |
| verdicts.py | what rules answer |
| networks.py, sampling.py, now.py, tables.py | ``networks``, ``sample``, ``now`` and ``load`` |
| problems.py | what cannot be compiled: place, reason, and what to write instead |
| compiler/ | the way from a function to a program |

Must never be imported for a start without rules: users' modules import it.
"""
