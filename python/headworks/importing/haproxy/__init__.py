"""HAProxy's configuration, as HAProxy 2 and 3 read it.

| file | owns |
|---|---|
| words.py | one line to words: quotes, escapes, variables |
| sections.py | lines to sections, `.if`, what is inherited from `defaults` |
| values.py | times, addresses and numbers |
| conditions.py, expressions.py | ACLs and conditions: what they say, and in Python |
| formats.py, actions.py | texts with samples; answers, redirects and fields that are set |
| binds.py, frontends.py, routes.py | what is listened on, and where requests go |
| backends.py | servers, balancing and checks |
| scene.py, translation.py | a whole file |
"""
