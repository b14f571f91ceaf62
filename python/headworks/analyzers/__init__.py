"""Analyzers: Python objects that a running proxy consults about connections and exchanges.

| module | owns |
|---|---|
| ``base.py`` | Analyzer, the class that people derive from |
| ``exchange.py``, ``connection.py``, ``views.py`` | what an analyzer is asked about, read as it is looked at |
| ``verdicts.py`` | answers that only analyzers have, and how every answer is given to the engine |
| ``states.py`` | what people keep with a connection or an exchange |
| ``asking.py`` | one question: which method, and what becomes of whatever happens there |
| ``threads.py``, ``loop.py`` | who runs them: threads for plain methods, one event loop for coroutines |
| ``company.py`` | the analyzers of a proxy over its life |
| ``declared.py`` | an analyzer as the configuration has it |
"""
