//! The file of hosts, as `/etc/hosts` is written: an address, then its names. Must never fail: a line that
//! says nothing is passed over.

use std::collections::HashMap;
use std::net::IpAddr;

use super::domain::Domain;

/// The addresses of names that the system knows by itself.
#[derive(Debug, Clone, Default)]
pub struct HostsFile(HashMap<Domain, Vec<IpAddr>>);

impl HostsFile {
    /// Reads the content of the file.
    pub fn read(content: &[u8]) -> Self {
        let mut hosts = HashMap::<_, Vec<IpAddr>>::new();
        for line in content.split(|byte| *byte == b'\n') {
            let said = line.split(|byte| *byte == b'#').next().unwrap_or_default();
            let Ok(said) = std::str::from_utf8(said) else { continue };
            let mut words = said.split_ascii_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
            for name in words.filter_map(Domain::new) {
                let addresses = hosts.entry(name).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        Self(hosts)
    }

    /// Returns the addresses of a name, none if the file does not have it.
    pub fn addresses(&self, name: &Domain) -> &[IpAddr] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_with_all_their_addresses() {
        let hosts = HostsFile::read(
            b"127.0.0.1 localhost # ourselves\n::1\tlocalhost ip6-localhost\n\n\
              192.0.2.1 App app.Internal\r\n192.0.2.2 app\n192.0.2.2 app\n#192.0.2.3 gone\n\
              fe80::1%eth0 scoped\nnonsense app\n192.0.2.9\n\xff\xff app\n192.0.2.4 last",
        );
        let addresses = |name| {
            let found = hosts.addresses(&Domain::new(name).unwrap());
            found.iter().map(IpAddr::to_string).collect::<Vec<_>>()
        };
        assert_eq!(addresses("localhost"), ["127.0.0.1", "::1"]);
        assert_eq!(addresses("APP"), ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(addresses("app.internal"), ["192.0.2.1"]);
        assert_eq!(addresses("last"), ["192.0.2.4"]);
        assert!(addresses("gone").is_empty() && addresses("scoped").is_empty());
    }
}
