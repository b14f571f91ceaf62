//! The one table of metrics: names, kinds, labels, and what each says.
//!
//! Names follow the conventions of Prometheus: base units, `_total` for what only grows, no rates and no
//! quantiles. Labels are names of the configuration and words of ours, never what clients send: how many
//! series there can be follows from the configuration. Documentation, dashboards and alerts are made from
//! this table and checked against it.

use serde::Serialize;

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// Only grows, until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations, counted by upper bounds.
    Histogram,
    /// The number and the sum of durations.
    Summary,
}

impl MetricKind {
    /// Returns the word of its `TYPE` line.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// The part of the proxy that a metric is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The process, its resolver and its analyzers.
    Process,
    /// Listeners.
    Listener,
    /// Backends.
    Backend,
    /// Servers.
    Server,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Process, Self::Listener, Self::Backend, Self::Server];

    /// Returns its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Listener => "listener",
            Self::Backend => "backend",
            Self::Server => "server",
        }
    }
}

/// One metric, with all of its series.
#[derive(Debug, Serialize)]
pub struct Family {
    /// The name of its samples; those of histograms and summaries have an ending more.
    pub name: &'static str,
    /// The kind.
    pub kind: MetricKind,
    /// The part that it is about.
    pub scope: Scope,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// A sentence that says what it is.
    pub help: &'static str,
}

macro_rules! families {
    ($($scope:ident {
        $($place:ident $name:literal $kind:ident [$($label:literal),*] $help:literal;)*
    })*) => {
        $($(
            pub(super) static $place: Family = Family {
                name: $name,
                kind: MetricKind::$kind,
                scope: Scope::$scope,
                labels: &[$($label),*],
                help: $help,
            };
        )*)*

        /// Every metric, in the order in which they are told.
        pub static FAMILIES: &[&Family] = &[$($(&$place,)*)*];
    };
}

families! {
    Process {
        BUILD "headworks_build_info" Gauge ["version"]
            "The version that runs; always 1.";
        WORKERS "headworks_workers" Gauge []
            "Worker threads.";
        OPEN "headworks_connections_open" Gauge []
            "Connections of clients that are open.";
        RECORDS_DROPPED "headworks_access_records_dropped_total" Counter []
            "Access records that could not be written.";
        RELOADS "headworks_config_reloads_total" Counter ["result"]
            "Reloads that were applied, and those that were refused.";
        RELOADED "headworks_config_last_reload_successful" Gauge []
            "Whether the last reload was applied; 1 while there was none.";
        CHANGED "headworks_config_applied_timestamp_seconds" Gauge []
            "The time at which the configuration that runs was applied.";
        ASKS "headworks_resolver_asks_total" Counter []
            "Names that were asked for.";
        ASKS_ANSWERED "headworks_resolver_answers_total" Counter []
            "Asks that got addresses.";
        ASKS_CACHED "headworks_resolver_cached_total" Counter []
            "Asks for which no nameserver had to be waited for.";
        ASKS_STALE "headworks_resolver_stale_total" Counter []
            "Asks that got addresses which hold no longer, since no nameserver answered.";
        ASKS_FAILED "headworks_resolver_failures_total" Counter ["reason"]
            "Asks that got no addresses.";
        DATAGRAMS "headworks_resolver_datagrams_total" Counter []
            "Datagrams sent to nameservers.";
        NAMESERVERS "headworks_resolver_connections_total" Counter []
            "Connections to nameservers.";
        ASKS_WAITING "headworks_resolver_asks_waiting" Gauge []
            "Asks that wait for their answer.";
        QUESTIONS "headworks_analyzer_questions_total" Counter ["analyzer"]
            "Questions to an analyzer, with those that found no place.";
        ANSWERS "headworks_analyzer_answers_total" Counter ["analyzer"]
            "Answers that came in time.";
        UNANSWERED "headworks_analyzer_unanswered_total" Counter ["analyzer", "reason"]
            "Questions without an answer that could be used.";
        PARKED "headworks_analyzer_questions_waiting" Gauge ["analyzer"]
            "Connections and exchanges that wait for an answer.";
        BUSY "headworks_analyzer_busy_seconds_total" Counter ["analyzer"]
            "Time that Python worked on answers.";
        CPU "process_cpu_seconds_total" Counter []
            "Time of processors that the process has used.";
        STARTED "process_start_time_seconds" Gauge []
            "The time at which the process began.";
        RESIDENT "process_resident_memory_bytes" Gauge []
            "Memory of the process that is in use.";
        VIRTUAL "process_virtual_memory_bytes" Gauge []
            "Addresses that the process has taken.";
        DESCRIPTORS "process_open_fds" Gauge []
            "Descriptors that are open.";
        MOST_DESCRIPTORS "process_max_fds" Gauge []
            "Descriptors that may be open.";
    }
    Listener {
        L_ACCEPTED "headworks_listener_connections_accepted_total" Counter ["listener"]
            "Connections accepted.";
        L_OPEN "headworks_listener_connections_open" Gauge ["listener"]
            "Connections that are open.";
        L_RECEIVED "headworks_listener_received_bytes_total" Counter ["listener"]
            "Bytes from clients.";
        L_SENT "headworks_listener_sent_bytes_total" Counter ["listener"]
            "Bytes to clients.";
        L_FAILED "headworks_listener_failed_total" Counter ["listener"]
            "Connections or requests that ended by a fault.";
        L_DENIED "headworks_listener_denied_total" Counter ["listener"]
            "Clients or requests turned away by access lists or limits.";
        L_REQUESTS "headworks_listener_requests_total" Counter ["listener"]
            "Requests.";
        L_RESPONSES "headworks_listener_responses_total" Counter ["listener", "code"]
            "Responses by the class of their status, the proxy's own among them.";
        L_DURATION "headworks_listener_request_duration_seconds" Histogram ["listener"]
            "Time from a request's head to the last byte of its response.";
        L_ENDS "headworks_listener_ends_total" Counter ["listener", "end"]
            "Ends of connections (HTTP: of exchanges) by reason, one for each access record.";
        L_HANDSHAKES "headworks_listener_handshakes_total" Counter ["listener", "resumed"]
            "TLS handshakes completed, and whether they resumed an old session.";
        L_HANDSHAKES_FAILED "headworks_listener_handshake_failures_total" Counter ["listener", "reason"]
            "TLS handshakes that failed.";
        L_HANDSHAKE "headworks_listener_handshake_duration_seconds" Histogram ["listener"]
            "Time from accept to the end of the TLS handshake.";
        L_CERTIFICATE "headworks_certificate_not_after_timestamp_seconds" Gauge ["listener", "name"]
            "The time at which a certificate ends, by its first name; the first end of several.";
        L_FORGOTTEN "headworks_listener_rate_limit_forgotten_total" Counter ["listener"]
            "Times that rate_limit forgot a client early, since there were more than it remembers.";
    }
    Backend {
        B_CONNECTED "headworks_backend_connections_total" Counter ["backend"]
            "Connections made to servers.";
        B_OPEN "headworks_backend_connections_open" Gauge ["backend"]
            "Connections and requests that servers work for.";
        B_RECEIVED "headworks_backend_received_bytes_total" Counter ["backend"]
            "Bytes from clients.";
        B_SENT "headworks_backend_sent_bytes_total" Counter ["backend"]
            "Bytes to clients.";
        B_FAILED "headworks_backend_failed_total" Counter ["backend"]
            "Connections or requests that ended by a fault.";
        B_REQUESTS "headworks_backend_requests_total" Counter ["backend"]
            "Requests.";
        B_RESPONSES "headworks_backend_responses_total" Counter ["backend", "code"]
            "Responses of servers by the class of their status.";
        B_DURATION "headworks_backend_request_duration_seconds" Histogram ["backend"]
            "Time from a request's head to the last byte of its server's response.";
        B_ENDS "headworks_backend_ends_total" Counter ["backend", "end"]
            "Ends of connections (HTTP: of exchanges) that were routed to it, by reason.";
        B_RETRIES "headworks_backend_retries_total" Counter ["backend"]
            "Connects tried again on another server.";
        B_CONNECT "headworks_backend_connect_duration_seconds" Histogram ["backend"]
            "Time that connects took which succeeded.";
        B_QUEUE "headworks_backend_queue_length" Gauge ["backend"]
            "Requests that stand in line for a place at a server.";
        B_WAIT "headworks_backend_queue_duration_seconds" Histogram ["backend"]
            "Time that requests waited in line which got their place.";
        B_SERVERS "headworks_backend_servers" Gauge ["backend"]
            "Servers that there are.";
        B_USABLE "headworks_backend_servers_usable" Gauge ["backend"]
            "Servers that may be chosen now, places left aside.";
        B_NAME "headworks_backend_name_addresses" Gauge ["backend", "name"]
            "Addresses that a configured name of servers leads to.";
        B_NAME_FAILED "headworks_backend_name_failing" Gauge ["backend", "name"]
            "Whether a configured name of servers has no good answer now.";
        B_NAME_ANSWERED "headworks_backend_name_answered_timestamp_seconds" Gauge ["backend", "name"]
            "The time of the last good answer for a configured name of servers.";
    }
    Server {
        S_UP "headworks_server_up" Gauge ["backend", "server"]
            "Whether active checks hold it to be up.";
        S_EJECTED "headworks_server_ejected" Gauge ["backend", "server"]
            "Whether failed connects or bad responses have put it out for a while.";
        S_ADMIN "headworks_server_admin_state" Gauge ["backend", "server", "state"]
            "1 for a server that an operator has put in drain or maintenance; no series for others.";
        S_WEIGHT "headworks_server_weight" Gauge ["backend", "server"]
            "The weight that is in force, slow start left aside.";
        S_OPEN "headworks_server_connections_open" Gauge ["backend", "server"]
            "Connections and requests that it works for.";
        S_CONNECTED "headworks_server_connections_total" Counter ["backend", "server"]
            "Connections made to it.";
        S_CONNECT_FAILED "headworks_server_connect_failures_total" Counter ["backend", "server"]
            "Connects that failed.";
        S_RECEIVED "headworks_server_received_bytes_total" Counter ["backend", "server"]
            "Bytes from clients.";
        S_SENT "headworks_server_sent_bytes_total" Counter ["backend", "server"]
            "Bytes to clients.";
        S_FAILED "headworks_server_failed_total" Counter ["backend", "server"]
            "Connections or requests that ended by a fault.";
        S_REQUESTS "headworks_server_requests_total" Counter ["backend", "server"]
            "Requests.";
        S_RESPONSES "headworks_server_responses_total" Counter ["backend", "server", "code"]
            "Responses by the class of their status.";
        S_DURATION "headworks_server_request_duration_seconds" Summary ["backend", "server"]
            "Time from a request's head to the last byte of its response.";
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let mut seen = HashSet::new();
        for family in FAMILIES {
            let name = family.name;
            assert!(seen.insert(name), "{name} is there twice");
            assert!(name.starts_with("headworks_") || name.starts_with("process_"), "{name}");
            assert_eq!(family.kind == MetricKind::Counter, name.ends_with("_total"), "{name}");
            let timed = matches!(family.kind, MetricKind::Histogram | MetricKind::Summary);
            assert!(!timed || name.ends_with("_seconds"), "{name}");
            assert!(family.help.ends_with('.') && !family.help.contains(['\\', '\n', '"']), "{name}");
        }
    }
}
