//! Idle kept HTTP connections: opens `--connections` one after the other, each with one answer, so that it is known to be
//! served. Then prints `held N` and keeps all of them until stdin ends. Meant for `--tls`; plain ones are held alike.

use std::io::{self, Read, Write};

use super::http::{Client, Visit};
use super::request::Asking;
use super::{Order, Sources, Tally, would_block};

/// Opens, holds, and finally checks that none was closed meanwhile.
pub(super) fn run(order: &Order, asking: Asking, sources: Sources, tally: &mut Tally) -> io::Result<()> {
    let mut client = Client::new(order, asking, sources);
    let mut held: Vec<Visit> = Vec::with_capacity(order.connections);
    for _ in 0..order.connections {
        match client.visit() {
            Ok(Some(visit)) => held.push(visit),
            Ok(None) => tally.failed("idle: was not kept"),
            Err(kind) => {
                tally.failed(&kind);
                return Ok(());
            }
        }
    }
    tally.operations = held.len() as u64;
    tally.operations_all = tally.operations;
    tally.took(tally.started.elapsed());
    println!("held {}", held.len());
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    for visit in &mut held {
        match visit.link.read(&mut [0; 1024]) {
            Err(error) if would_block(&error) => {}
            _ => tally.failed("idle: did not stay open"),
        }
    }
    Ok(())
}
