"""Unbound, a real nameserver, whose answers change on order."""

import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path

from rig.programs import free_port
from rig.tls_clients import needs
from rig.waiting import until

CONFIG = """
server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  chroot: ""
  username: ""
  directory: "{home}"
  pidfile: ""
  use-syslog: no
  logfile: "{home}/log"
  module-config: "iterator"
  local-zone: "app.test." static
{data}
remote-control:
  control-enable: yes
  control-use-cert: no
  control-interface: {home}/control
"""


class Unbound:
    """One on a free port of 127.0.0.1, which knows the names below app.test. that it is given."""

    def __init__(self, home: Path, records: Iterable[str] = ()) -> None:
        """Start with these records, each in the words of a zone file. Skips the test where there is no Unbound."""
        program, self._control, port = needs("unbound"), needs("unbound-control"), free_port()
        data = "\n".join(f'  local-data: "{record}"' for record in records)
        self._config = home / "unbound.conf"
        self._config.write_text(CONFIG.format(port=port, home=home, data=data))
        self.address = f"127.0.0.1:{port}"
        self._process = subprocess.Popen([program, "-c", self._config])
        until(lambda: self._asked("status").returncode == 0, "unbound is up")

    def close(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        self._process.wait()

    def set(self, name: str, *records: str) -> None:
        """Let a name have these records alone: ``1 IN A 127.0.0.1``."""
        self._asked("local_data_remove", name).check_returncode()
        self._asked("local_datas", said="".join(f"{name} {one}\n" for one in records)).check_returncode()

    def pause(self) -> None:
        """Say nothing until ``resume``."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Answer again."""
        self._process.send_signal(signal.SIGCONT)

    def _asked(self, *words: str, said: str = "") -> subprocess.CompletedProcess[str]:
        command = [self._control, "-c", str(self._config), *words]
        return subprocess.run(command, input=said, capture_output=True, text=True, check=False)
