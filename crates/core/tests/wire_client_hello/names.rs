//! The server_name extension.

use headworks_core::wire::client_hello::{Defect, ServerName};

use super::hello::*;

fn name(bytes: &[u8]) -> Result<ServerName, Defect> {
    let hello = Hello::named(bytes).bytes();
    match defect(&hello) {
        Some(defect) => Err(defect),
        None => Ok(check_every_prefix(&hello).name),
    }
}

fn with_extension(content: Vec<u8>) -> Vec<u8> {
    Hello::new().with(SERVER_NAME, content).bytes()
}

#[test]
fn host_names_are_brought_to_one_spelling() {
    for (sent, read) in [
        ("example.com", "example.com"),
        ("Www.EXAMPLE.Com", "www.example.com"),
        ("example.com.", "example.com"),
        ("localhost", "localhost"),
        ("a", "a"),
        ("_dmarc.x-y.example", "_dmarc.x-y.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("1.2.3.4.5", "1.2.3.4.5"),
        ("256.1.1.1", "256.1.1.1"),
        ("-.-", "-.-"),
    ] {
        assert_eq!(name(sent.as_bytes()), Ok(host(read)), "{sent}");
    }
}

#[test]
fn ip_literals_are_no_names() {
    for sent in
        ["192.0.2.1", "192.0.2.1.", "::1", "2001:db8::7", "[2001:DB8::7]", "::ffff:192.0.2.1", "[192.0.2.1]"]
    {
        assert_eq!(name(sent.as_bytes()), Ok(ServerName::Literal), "{sent}");
    }
    for sent in ["[::1", "::1]", "[]", "[example.com]", "fe80::1%eth0", "1:2", "192.0.2.1:443", "[[::1]]"] {
        assert_eq!(name(sent.as_bytes()), Err(Defect::HostName), "{sent}");
    }
}

#[test]
fn bytes_no_host_name_has() {
    for byte in 0..=u8::MAX {
        let allowed = byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let sent = [b"www", &[byte][..], b"example.com"].concat();
        assert_eq!(name(&sent).is_ok(), allowed, "{byte:#x}");
    }
    assert_eq!(name(b"example.com\0"), Err(Defect::HostName));
    assert_eq!(name("bücher.example".as_bytes()), Err(Defect::HostName));
    assert_eq!(name(b"*.example.com"), Err(Defect::HostName));
}

#[test]
fn labels_and_lengths() {
    let long = |length| vec![b'a'; length];
    for sent in [&b""[..], b".", b"..", b".example", b"a..b", b"example.com.."] {
        assert_eq!(name(sent), Err(Defect::HostName), "{sent:?}");
    }
    assert!(name(&long(63)).is_ok());
    assert_eq!(name(&long(64)), Err(Defect::HostName));
    assert_eq!(name(&[b"x.", &long(64)[..], b".y"].concat()), Err(Defect::HostName));
    let of = |total: usize| {
        let mut name = [long(63), b".".to_vec()].concat().repeat(3);
        name.extend(long(total - name.len()));
        name
    };
    assert!(name(&of(253)).is_ok());
    assert!(name(&[&of(253)[..], b"."].concat()).is_ok());
    assert_eq!(name(&of(254)), Err(Defect::HostName));
    assert_eq!(name(&b"a.".repeat(128)), Err(Defect::HostName));
    assert_eq!(name(&b"a.".repeat(20_000)), Err(Defect::HostName));
}

#[test]
fn lists() {
    check_invalid(&with_extension(Vec::new()), Defect::ServerNameList);
    check_invalid(&with_extension(vec![0]), Defect::ServerNameList);
    check_invalid(&with_extension(vec![0, 0]), Defect::ServerNameList);
    check_invalid(&with_extension(vec![0, 1, 0]), Defect::ServerNameList);
    check_invalid(&with_extension(vec![0, 5, 0, 0, 9, b'a', b'b']), Defect::ServerNameList);
    let named = server_name(&[(0, b"example.com")]);
    check_invalid(&with_extension([&named[..], &[0]].concat()), Defect::ServerNameList);
    check_invalid(
        &with_extension(server_name(&[(0, b"a.example"), (0, b"b.example")])),
        Defect::DuplicateName,
    );
    check_invalid(
        &with_extension(server_name(&[(0, b"a.example"), (0, b"a.example")])),
        Defect::DuplicateName,
    );
}

#[test]
fn types_to_come() {
    let parsed =
        check_every_prefix(&with_extension(server_name(&[(7, b"\xff\0"), (0, b"a.example"), (9, b"")])));
    assert_eq!(parsed.name, host("a.example"));
    assert_eq!(complete(&with_extension(server_name(&[(200, b"x")]))).name, ServerName::Absent);
    check_invalid(&with_extension(server_name(&[(7, b"x"), (7, b"y")])), Defect::DuplicateName);
    check_invalid(&with_extension(vec![0, 4, 7, 0, 2, 1]), Defect::ServerNameList);
}
