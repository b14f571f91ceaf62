//! Why a handshake failed, in the few words that records and counters have for it.

use headworks_core::close::Fault;
use headworks_core::tls::HandshakeFault;
use rustls::{CertificateError, Error, PeerIncompatible};

/// Returns which of the faults with a client `error` is.
pub(crate) fn fault_of(error: &Error) -> HandshakeFault {
    match error {
        Error::AlertReceived(_) => HandshakeFault::Alerted,
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => HandshakeFault::NoVersion,
        Error::PeerIncompatible(_) => HandshakeFault::NoCipher,
        // A certificate for the name there is (the name was asked for before), but none that the client could
        // verify.
        Error::General(_) => HandshakeFault::NoCipher,
        Error::NoApplicationProtocol => HandshakeFault::NoProtocol,
        Error::NoCertificatesPresented => HandshakeFault::NoClientCertificate,
        Error::InvalidCertificate(_) | Error::InvalidCertRevocationList(_) => {
            HandshakeFault::BadClientCertificate
        }
        Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::InvalidMessage(_)
        | Error::PeerMisbehaved(_)
        | Error::DecryptError
        | Error::PeerSentOversizedRecord => HandshakeFault::Malformed,
        _ => HandshakeFault::Other,
    }
}

/// Returns which of the faults with a server `error` is.
pub(crate) fn server_fault(error: &Error) -> Fault {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
    };
    match error {
        Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => Fault::WrongName,
        Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
        ) => Fault::Expired,
        Error::InvalidCertificate(_) => Fault::Untrusted,
        _ => Fault::Handshake,
    }
}
