"""sniproxy.conf in tests: translated, checked, and what of it this version can run."""

from headworks.importing.sniproxy.translation import Translation, translate


def translated(text: str) -> Translation:
    """Translate what has no mistake."""
    found = translate(text.encode())
    wrong = [str(one) for one in (*found.problems, *found.unsupported) if not one.is_warning]
    assert not wrong, "\n".join(wrong)
    return found
