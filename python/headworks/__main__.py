"""``python -m headworks`` is the ``headworks`` command."""

from headworks.entry import main

if __name__ == "__main__":
    main()
