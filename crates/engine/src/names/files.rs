//! The system's files: hosts and the resolver's configuration, as they were when they were last looked at.
//! They are looked at when somebody asks, at most once a second, and read when they have changed. Must
//! never fail: a file that is not there says nothing.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use headworks_core::names::{HostsFile, ResolverConf};
use headworks_core::time::Millis;

use super::ResolverSettings;

/// Time between two looks.
const LOOKED_AT: Millis = 1_000;

/// The content of both files.
#[derive(Debug, Default)]
pub(super) struct SystemFiles {
    /// The file of hosts.
    pub(super) hosts: HostsFile,
    /// The resolver's configuration, that of the settings if they name nameservers.
    pub(super) conf: ResolverConf,
    of_hosts: Stamp,
    of_conf: Stamp,
    next_look: Millis,
}

/// Facts that change when a file does: its time, its length, its number. None: there is no file.
type Stamp = Option<(SystemTime, u64, u64)>;

impl SystemFiles {
    /// Reads both files.
    pub(super) fn new(settings: &ResolverSettings, now: Millis) -> Self {
        let mut files = Self::default();
        files.look(settings, now);
        files
    }

    /// Reads what has changed.
    pub(super) fn look(&mut self, settings: &ResolverSettings, now: Millis) {
        if now < self.next_look {
            return;
        }
        self.next_look = now + LOOKED_AT;
        if let Some(content) = changed(&settings.hosts, &mut self.of_hosts) {
            self.hosts = HostsFile::read(&content);
        }
        if settings.nameservers.is_empty()
            && let Some(content) = changed(&settings.resolver_conf, &mut self.of_conf)
        {
            self.conf = ResolverConf::read(&content);
        } else if !settings.nameservers.is_empty() {
            self.conf = ResolverConf { nameservers: settings.nameservers.clone(), ..ResolverConf::default() };
        }
    }
}

/// Returns the content of a file that is not as it was; of one that is gone, nothing.
fn changed(path: &Path, last: &mut Stamp) -> Option<Vec<u8>> {
    let found = fs::metadata(path).ok().filter(fs::Metadata::is_file);
    let stamp = found.and_then(|facts| Some((facts.modified().ok()?, facts.len(), facts.ino())));
    if stamp == *last {
        return None;
    }
    *last = stamp;
    Some(fs::read(path).unwrap_or_default())
}
