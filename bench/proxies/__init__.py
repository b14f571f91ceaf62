"""The proxies that are compared, one file each; `competitors.py` has the table of them."""
