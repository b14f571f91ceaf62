//! Crumbs: cookies that came in pieces, put together in place. Must never leave a gap between field lines.

use super::Sheet;
use crate::message::{Field, Known, Span};

/// Joins the crumb whose line ends the text to the one whose line is right before it.
#[inline]
pub(super) fn join(text: &mut Vec<u8>, last: &mut Field, crumb: Span) {
    // CRLF becomes `; `, which is as long.
    let end = last.value.end as usize;
    text[end..end + 2].copy_from_slice(b"; ");
    text.copy_within(crumb.start as usize.., end + 2);
    text.truncate(end + 2 + crumb.len() + 2);
    last.value = Span::new(last.value.start as usize, text.len() - 2);
}

/// Joins crumbs from several places into one line, which becomes the last.
#[cold]
pub(super) fn gather(sheet: &mut Sheet) {
    let Sheet { head, text, .. } = sheet;
    let start = text.len();
    text.extend_from_slice(b"cookie: ");
    for field in head.fields.iter().filter(|field| field.known == Known::Cookie) {
        if text.len() > start + 8 {
            text.extend_from_slice(b"; ");
        }
        text.extend_from_within(field.value.start as usize..field.value.end as usize);
    }
    text.extend_from_slice(b"\r\n");
    let mut removed = 0;
    head.fields.retain_mut(|field| {
        let (line, end) = (field.name.start as usize, field.value.end as usize + 2);
        if field.known == Known::Cookie {
            removed += end - line;
            return false;
        }
        text.copy_within(line..end, line - removed);
        for span in [&mut field.name, &mut field.value] {
            *span = Span::new(span.start as usize - removed, span.end as usize - removed);
        }
        true
    });
    text.copy_within(start.., start - removed);
    text.truncate(text.len() - removed);
    let (line, end) = (start - removed, text.len() - 2);
    let (name, value) = (Span::new(line, line + 6), Span::new(line + 8, end));
    head.push(Field { name, value, known: Known::Cookie, hop_by_hop: false });
    if let Some(host) = head.field(Known::Host).map(|host| host.value) {
        if !head.authority.is_empty() {
            head.authority = host;
        }
        head.host = host;
    }
}
