//! TLS, as it is explained: a client's is passed through untouched, or ended here with which certificate.
//!
//! Must never judge a certificate: what a client accepts is its own affair.

use std::sync::Arc;

use super::{Asked, Explanation, read_server_name};
use crate::close::CloseReason;
use crate::host::without_port;
use crate::listener::Listener;
use crate::plan::{Plan, Routed};
use crate::tls::{Certificate, Termination, TlsFacts};

impl Plan {
    /// Follows a client up to the end of its handshake: where it goes untouched, or None where TLS ends here
    /// or there is none.
    pub(super) fn explain_handshake(
        &self,
        listener: &Listener,
        asked: &Asked,
        told: &mut Explanation,
    ) -> Result<Option<Routed>, CloseReason> {
        let Some(tls) = &listener.tls else { return Ok(None) };
        told.sni = server_name(asked, told)?;
        if let Some(routed) = self.explain_passthrough(listener, asked, told) {
            (told.method, told.path) = (None, None);
            told.name.clone_from(&told.sni);
            told.tls = Some("passed_through");
            return Ok(Some(routed));
        }
        told.tls = Some("terminated");
        let presented =
            tls.presented(told.sni.as_deref()).and_then(|index| tls.certificates.get(index as usize));
        let Some(presented) = presented else {
            told.steps
                .push("no certificate is for what the client asks for, and strict_sni is on".to_owned());
            (told.method, told.path) = (None, None);
            return Err(CloseReason::HandshakeFailed);
        };
        told.certificate = Some(presented.place.to_string());
        told.steps.push(why(tls, presented, told.sni.as_deref()));
        Ok(None)
    }

    fn explain_passthrough(
        &self,
        listener: &Listener,
        asked: &Asked,
        told: &mut Explanation,
    ) -> Option<Routed> {
        let table = &self.tables[listener.tls.as_ref()?.passthrough? as usize];
        let (name, offered) = (told.sni.as_deref(), asked.offered());
        let routed = self.pass_through(listener, name, &offered);
        let entry = name.map_or(table.table.any(), |name| table.table.lookup(name));
        let by_alpn = entry.and_then(|entry| table.alpn_of(entry)).map(|ways| ways.explain(&offered));
        for step in table.table.explain(told.sni.as_deref(), None) {
            told.steps.push(format!("passthrough, {}: {}", step.pattern, step.why));
        }
        told.steps.extend(by_alpn);
        match routed {
            Some(Routed { entry: Some(entry), .. }) => {
                told.table = Some(table.name.to_string());
                told.entry = table.entries.get(entry.entry as usize).map(|(pattern, _)| pattern.clone());
                told.steps.push("the name is passed through: TLS ends at the server".to_owned());
            }
            _ => told.steps.push("the name is not passed through: TLS ends here".to_owned()),
        }
        routed
    }
}

/// Returns the name in the ClientHello. Without one of its own it is the host of the request.
fn server_name(asked: &Asked, told: &mut Explanation) -> Result<Option<String>, CloseReason> {
    let of_host = || {
        let host = without_port(asked.name.as_deref()?.as_bytes());
        std::str::from_utf8(host).ok()
    };
    let Some(name) = asked.sni.as_deref().or_else(of_host) else { return Ok(None) };
    let read = read_server_name(name, told);
    if read.is_err() {
        // It is refused before there could be a request.
        (told.method, told.path) = (None, None);
    }
    read
}

/// Says why this certificate is presented.
fn why(tls: &Termination, presented: &Certificate, name: Option<&str>) -> String {
    let place = &presented.place;
    let Some(name) = name else {
        return format!("{place} is presented: it is the first, and the client asks for no name");
    };
    let rivals = tls.names.candidates(name).into_iter().map(<[u32]>::len).find(|len| *len > 0).unwrap_or(0);
    let others = match rivals {
        0 => return format!("{place} is presented: it is the first, and none is for {name}"),
        1 => String::new(),
        more => format!(", unless another of the {more} suits the client better"),
    };
    format!("{place} is presented: it is for {name}{others}")
}

/// Returns what a handshake agrees on that asks for this name, as far as it can be foreseen.
pub(super) fn opened(tls: &Termination, name: Option<&str>) -> TlsFacts {
    TlsFacts {
        certificate: tls.presented(name).map(|index| Arc::clone(&tls.certificates[index as usize].names)),
        name: name.map(Box::from),
        ..TlsFacts::default()
    }
}
