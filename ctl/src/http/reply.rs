//! One answer, with the headers that every answer has.

/// What a browser may do with it: take our own style sheet and send our own form. No script runs, from anywhere; nothing is fetched
/// from elsewhere; nobody shows it inside a page of theirs.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; sandbox allow-forms allow-same-origin allow-downloads";

/// What every answer says beside its own.
const ALWAYS: [(&str, &str); 8] = [
    ("Connection", "close"),
    // What happened is nobody's to keep.
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Content-Security-Policy", POLICY),
];

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    status: &'static str,
    kind: &'static str,
    /// More headers: names and values of ours.
    further: Vec<(&'static str, String)>,
    body: String,
}

impl Reply {
    /// What was asked for, as this media type.
    pub(crate) fn found(kind: &'static str, body: String) -> Self {
        Self::with_status("200 OK", kind, body)
    }

    /// The same with another status.
    pub(crate) fn with_status(status: &'static str, kind: &'static str, body: String) -> Self {
        Self { status, kind, further: Vec::new(), body }
    }

    /// A line of text.
    pub(crate) fn plain(status: &'static str, text: &str) -> Self {
        Self::with_status(status, "text/plain; charset=utf-8", format!("{text}\n"))
    }

    /// With one more header. The value is of our own making: no line break of anybody's can be in it.
    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        debug_assert!(value.bytes().all(|byte| (b' '..0x7f).contains(&byte)));
        self.further.push((name, value));
        self
    }

    /// As it is sent.
    pub(super) fn bytes(&self, with_body: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {}\r\nContent-Type: {}\r\n", self.status, self.kind);
        head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        let further = self.further.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in ALWAYS.into_iter().chain(further) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        if with_body {
            head.push_str(&self.body);
        }
        head.into_bytes()
    }

    #[cfg(test)]
    pub(crate) fn body(&self) -> &str {
        &self.body
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> &str {
        self.status
    }
}
