"""Recording: requests that a proxy decided about, kept in a file, and decided once more with another configuration.

| module | owns |
|---|---|
| fields.py | which fields of requests a configuration looks at, and the rules that take them down |
| secret.py | what is hashed, and how |
| decided.py | a decision in the shape that is kept and compared |
| tape.py | the thread that writes |
| recorder.py | a proxy that records |
| reading.py | the file, read again |
| differences.py | what would be different |

Must never keep a body.
"""

from headworks.recording.differences import Difference, Replayed, replay
from headworks.recording.reading import RecordingError
from headworks.recording.recorder import Recording

__all__ = ["Difference", "Recording", "RecordingError", "Replayed", "replay"]
