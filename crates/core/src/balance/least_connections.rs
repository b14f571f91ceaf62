//! Fewest connections for the weight.
//!
//! Good for long connections of differing length, such as tunnels and databases. Source: nginx
//! (`ngx_http_upstream_least_conn_module.c`). Cost: two passes over the candidates. Equals take turns by
//! smooth weighted round robin, so that an idle backend does not send everything to its first server.

use super::{Balance, Candidate, Memory, Seed, less_loaded, round_robin};

/// Fewest connections for the weight.
#[derive(Debug)]
pub(super) struct LeastConnections;

impl Balance for LeastConnections {
    fn name(&self) -> &'static str {
        "least_connections"
    }

    fn choose(&self, candidates: &[Candidate], _seed: &Seed<'_>, memory: &mut Memory) -> usize {
        let least = candidates.iter().fold(&candidates[0], |least, candidate| {
            if less_loaded(candidate, least) { candidate } else { least }
        });
        round_robin::turn(candidates.iter().filter(|candidate| !less_loaded(least, candidate)), memory)
    }

    fn remembers(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::testing::{candidate, seed};

    fn choose(candidates: &[Candidate], memory: &mut Memory) -> usize {
        LeastConnections.choose(candidates, &seed(0), memory)
    }

    #[test]
    fn the_fewest_for_the_weight() {
        let mut memory = Memory::default();
        assert_eq!(choose(&[candidate(0, 16, 3), candidate(1, 16, 2), candidate(2, 16, 4)], &mut memory), 1);
        assert_eq!(choose(&[candidate(0, 16, 3), candidate(1, 64, 11), candidate(2, 16, 4)], &mut memory), 1);
        assert_eq!(choose(&[candidate(0, 16, 3), candidate(1, 64, 13), candidate(2, 16, 4)], &mut memory), 0);
        assert_eq!(choose(&[candidate(5, 4096, u32::MAX), candidate(6, 1, u32::MAX)], &mut memory), 5);
    }

    #[test]
    fn equals_take_turns_by_weight() {
        let mut memory = Memory::default();
        let idle = [candidate(0, 48, 0), candidate(1, 16, 0), candidate(2, 16, 0), candidate(3, 16, 1)];
        let chosen: Vec<_> = (0..5).map(|_| choose(&idle, &mut memory)).collect();
        assert_eq!(chosen, [0, 1, 0, 2, 0]);
    }

    #[test]
    fn taken_connections_spread_by_weight() {
        let mut memory = Memory::default();
        let mut servers = [candidate(0, 16, 0), candidate(1, 32, 0), candidate(2, 64, 0)];
        for _ in 0..700 {
            let chosen = choose(&servers, &mut memory);
            servers[chosen].active += 1;
        }
        assert_eq!(servers.map(|server| server.active), [100, 200, 400]);
    }
}
