//! Template: a text with variables such as `{client.address}`, compiled once and filled in for each exchange.
//!
//! `{{` and `}}` stand for braces. What a variable says comes from outside: control bytes in it are left out,
//! so that no value can end a line, and a [`Filter`] writes it as what it is put into demands. Must never
//! fail once compiled: a value that is not known is empty.
//!
//! `variables.rs` has the variables and what each stands for, `filter.rs` the filters.

mod filter;
mod variables;

pub use self::filter::Filter;

use self::variables::{VARIABLES, Variable, known_there, unknown};
use super::facts::ExchangeFacts;
use super::text::push_clean;
use crate::message::Message;
use crate::problem::Flaw;

/// A text with variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Box<[Part]>);

/// The use of a text: not every variable is known everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A field of a request that goes to a server.
    Request,
    /// A field of a response that came from a server.
    Response,
    /// A part of an answer of our own: there is no server, and `{header.NAME}` is the request's.
    Answer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<[u8]>),
    Value(Value, Option<Filter>),
}

/// A part that is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Variable(Variable),
    /// The values of a field of the message.
    Header(Box<[u8]>),
}

impl Template {
    /// Compiles a text of one or more lines, such as the body of an answer.
    pub fn compile(text: &str, of: Purpose) -> Result<Self, Flaw> {
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let end = rest.find('}').filter(|_| brace == "{").ok_or_else(|| unbalanced(brace))?;
            parts.extend(text_part(&mut plain));
            parts.push(variable(&rest[..end], of)?);
            rest = &rest[end + 1..];
        }
        plain.push_str(rest);
        parts.extend(text_part(&mut plain));
        Ok(Self(parts.into()))
    }

    /// Compiles the value of a field: a text of one line.
    pub fn compile_line(text: &str, of: Purpose) -> Result<Self, Flaw> {
        match text.bytes().find(u8::is_ascii_control) {
            Some(byte) => {
                Err(Flaw::new(format!("a value of one line cannot have the control character {byte:#04x}")))
            }
            None => Self::compile(text.trim(), of),
        }
    }

    /// Appends the text, filled in. `message` is where `{header.NAME}` looks.
    pub fn write(&self, out: &mut Vec<u8>, facts: &ExchangeFacts<'_>, message: Option<Message<'_>>) {
        for part in &self.0 {
            part.write(out, facts, message, Filter::Raw);
        }
    }

    /// Writes the same with `filter` for the variables that have none of their own. The text itself stays.
    pub fn write_filtered(
        &self,
        out: &mut Vec<u8>,
        facts: &ExchangeFacts<'_>,
        message: Option<Message<'_>>,
        filter: Filter,
    ) {
        for part in &self.0 {
            part.write(out, facts, message, filter);
        }
    }

    /// Whether there are variables without a filter of their own.
    pub fn has_unfiltered(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Value(_, None)))
    }

    /// Writes the same for an explanation, where not all is known: such variables stay as they are written.
    pub fn foresee(&self, out: &mut Vec<u8>, facts: &ExchangeFacts<'_>, message: Option<Message<'_>>) {
        for part in &self.0 {
            match part {
                Part::Value(Value::Variable(variable), _) if !variable.is_known(facts) => {
                    variable.write_name(out);
                }
                part => part.write(out, facts, message, Filter::Raw),
            }
        }
    }

    /// Whether filling it in takes our end of the client's connection, which the system must be asked for.
    pub fn asks_local(&self) -> bool {
        use Variable::{LocalAddress, LocalPort};
        self.0.iter().any(|part| matches!(part, Part::Value(Value::Variable(LocalAddress | LocalPort), _)))
    }

    /// Whether filling it in takes the id of the request, which must be made.
    pub fn asks_id(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Value(Value::Variable(Variable::RequestId), _)))
    }

    /// Whether it begins with a variable.
    pub(super) fn begins_open(&self) -> bool {
        !matches!(self.0.first(), Some(Part::Text(_)) | None)
    }
}

impl Part {
    /// Appends it; a value is written by its own filter, or else by `filter`.
    fn write(
        &self,
        out: &mut Vec<u8>,
        facts: &ExchangeFacts<'_>,
        message: Option<Message<'_>>,
        filter: Filter,
    ) {
        match self {
            Self::Text(text) => out.extend_from_slice(text),
            Self::Value(value, own) => {
                let start = out.len();
                value.write(out, facts, message);
                own.unwrap_or(filter).apply(out, start);
            }
        }
    }
}

impl Value {
    fn write(&self, out: &mut Vec<u8>, facts: &ExchangeFacts<'_>, message: Option<Message<'_>>) {
        match self {
            Self::Variable(variable) => variable.write(out, facts),
            Self::Header(name) => {
                if let Some(message) = message {
                    write_header(out, name, message);
                }
            }
        }
    }
}

/// Writes all values of a field, as one list.
fn write_header(out: &mut Vec<u8>, name: &[u8], message: Message<'_>) {
    let mut first = true;
    for field in &message.head.fields {
        if message.name(field).eq_ignore_ascii_case(name) {
            if !std::mem::take(&mut first) {
                out.extend_from_slice(b", ");
            }
            push_clean(out, message.text(field.value));
        }
    }
}

fn text_part(plain: &mut String) -> Option<Part> {
    (!plain.is_empty()).then(|| Part::Text(std::mem::take(plain).into_bytes().into()))
}

fn unbalanced(brace: &str) -> Flaw {
    let reason = match brace {
        "{" => "a \"{\" has no \"}\"",
        _ => "a \"}\" has no \"{\"",
    };
    Flaw::new(reason).hint(format!("write {brace}{brace} for a brace that is one"))
}

fn variable(written: &str, of: Purpose) -> Result<Part, Flaw> {
    let (name, filter) = match written.split_once('|') {
        Some((name, filter)) => (name.trim(), Some(Filter::named(filter.trim())?)),
        None => (written, None),
    };
    if let Some(header) = name.strip_prefix("header.") {
        return if super::names::is_token(header.as_bytes()) {
            Ok(Part::Value(Value::Header(header.as_bytes().into()), filter))
        } else {
            Err(Flaw::new(format!("\"{header}\" is not the name of a field")))
        };
    }
    match VARIABLES.iter().find(|(known, _)| *known == name) {
        Some((_, variable)) => {
            known_there(name, *variable, of).map(|known| Part::Value(Value::Variable(known), filter))
        }
        None => Err(unknown(name, of)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{ClientCertificate, TlsFacts};

    fn facts() -> ExchangeFacts<'static> {
        ExchangeFacts {
            client: Some("[2001:db8::1]:5000".parse().unwrap()),
            local: Some("192.0.2.7:80".parse().unwrap()),
            scheme: "https",
            tls: None,
            early: false,
            host: b"Example.com:8080",
            name: "example.com",
            method: b"GET",
            target: b"/a/b?c=d",
            request_id: b"abc",
            listener: "web",
            backend: "app",
            server: "127.0.0.1:8001",
            status: 204,
        }
    }

    fn fill(text: &str, facts: &ExchangeFacts<'_>) -> String {
        let mut out = Vec::new();
        Template::compile(text, Purpose::Response).unwrap().write(&mut out, facts, None);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_variable() {
        for (text, filled) in [
            ("", ""),
            ("plain", "plain"),
            ("{client.address} {client.port}", "2001:db8::1 5000"),
            ("{local.address} {local.port}", "192.0.2.7 80"),
            ("{scheme}://{host}{uri}", "https://Example.com:8080/a/b?c=d"),
            ("{name}", "example.com"),
            ("{method} {path} {query}", "GET /a/b c=d"),
            ("{request.id}", "abc"),
            ("{listener}/{backend}/{server}", "web/app/127.0.0.1:8001"),
            ("{status}", "204"),
            ("{{{status}}}", "{204}"),
            ("{{status}}", "{status}"),
            ("{header.accept}.", "."),
        ] {
            assert_eq!(fill(text, &facts()), filled, "{text}");
        }
    }

    fn of_tls(client: Option<ClientCertificate>) -> TlsFacts {
        TlsFacts {
            version: "TLSv1.3",
            cipher: "TLS_AES_128_GCM_SHA256",
            group: "X25519MLKEM768",
            alpn: Some("http/1.1".into()),
            name: Some("a.example".into()),
            client,
            ..TlsFacts::default()
        }
    }

    #[test]
    fn every_variable_of_tls() {
        let certificate = ClientCertificate {
            subject: "CN=Ann\\, \u{e9}\r\n,O=B".into(),
            common_name: "Ann".into(),
            issuer: "CN=CA".into(),
            serial: "0a".into(),
            fingerprint: "ff".into(),
            der: "MII=".into(),
        };
        let tls = of_tls(Some(certificate));
        let facts = ExchangeFacts { tls: Some(&tls), ..facts() };
        for (text, filled) in [
            ("{tls.version} {tls.cipher} {tls.group}", "TLSv1.3 TLS_AES_128_GCM_SHA256 X25519MLKEM768"),
            ("{tls.name} {tls.alpn} {tls.resumed}", "a.example http/1.1 false"),
            ("{tls.client.subject}|{tls.client.common_name}", "CN=Ann\\, \u{e9},O=B|Ann"),
            ("{tls.client.issuer} {tls.client.serial}", "CN=CA 0a"),
            ("{tls.client.fingerprint} {tls.client.certificate}", "ff MII="),
        ] {
            assert_eq!(fill(text, &facts), filled, "{text}");
        }
        let resumed = TlsFacts { resumed: true, ..tls.clone() };
        assert_eq!(fill("{tls.resumed}", &ExchangeFacts { tls: Some(&resumed), ..facts }), "true");
    }

    #[test]
    fn without_tls_or_a_certificate_its_variables_are_empty() {
        let all: String = VARIABLES
            .iter()
            .filter(|(name, _)| name.starts_with("tls."))
            .map(|(name, _)| format!("{{{name}}}"))
            .collect();
        assert_eq!(fill(&all, &facts()), "");
        let tls = of_tls(None);
        let of_client = all.replace("{tls.client", "\0{tls.client");
        let of_client: String = of_client.split('\0').skip(1).collect();
        assert_eq!(of_client.matches("tls.client.").count(), 6);
        assert_eq!(fill(&of_client, &ExchangeFacts { tls: Some(&tls), ..facts() }), "");
    }

    #[test]
    fn what_is_not_known_is_empty_or_unknown() {
        let text = "{client.address}|{client.port}|{local.address}|{local.port}|{host}|{status}";
        assert_eq!(fill(text, &ExchangeFacts::default()), "unknown||unknown|||");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, reason, hint) in [
            (
                "{client.adress}",
                "there is no variable {client.adress}; there are {client.address}, ",
                "did you mean {client.address}?",
            ),
            ("{client_port}", "no variable", "did you mean {client.port}?"),
            ("{request_id}", "no variable", "did you mean {request.id}?"),
            ("{tls.client.common-name}", "no variable", "did you mean {tls.client.common_name}?"),
            ("{tls_version}", "no variable", "did you mean {tls.version}?"),
            ("{nothing at all}", "no variable", "write {{ and }}"),
            ("{status}", "responses only", ""),
            ("{server}", "responses only", ""),
            ("{", "has no \"}\"", "write {{"),
            ("a}", "has no \"{\"", "write }}"),
            ("{path|sql}", "no filter \"sql\"", ""),
            ("{header.}", "\"\" is not the name of a field", ""),
            ("{header.a b}", "\"a b\" is not", ""),
            ("a\nb", "control character 0x0a", ""),
            ("a\rb", "control character 0x0d", ""),
        ] {
            let wrong = Template::compile_line(text, Purpose::Request).unwrap_err();
            assert!(wrong.reason.contains(reason), "{text}: {wrong:?}");
            assert!(wrong.hint.unwrap_or_default().contains(hint), "{text}");
        }
        assert!(Template::compile("{server}", Purpose::Answer).unwrap_err().reason.contains("no server"));
        assert!(Template::compile("two\nlines", Purpose::Answer).is_ok());
    }

    #[test]
    fn html_is_escaped_where_it_comes_from_outside() {
        let facts = ExchangeFacts { target: b"/<script>\"&'", ..ExchangeFacts::default() };
        let mut out = Vec::new();
        let template = Template::compile("<b>{path}</b> {path | raw} {path|json}", Purpose::Answer).unwrap();
        template.write_filtered(&mut out, &facts, None, Filter::Html);
        let html = "<b>/&lt;script&gt;&quot;&amp;&#39;</b> ";
        assert_eq!(String::from_utf8(out).unwrap(), format!("{html}/<script>\"&' /<script>\\\"&'"));
    }

    #[test]
    fn variables_of_our_end_are_told() {
        for (text, asks) in
            [("{status} {client.address}", false), ("{local.address}", true), ("{local.port}", true)]
        {
            assert_eq!(Template::compile(text, Purpose::Response).unwrap().asks_local(), asks);
        }
    }
}
