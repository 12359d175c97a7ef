//! What an order must be before anything is done with it: signed by a key that this machine pinned, for this machine, still good, and
//! with the script that it names. A pure function of what it is given, so that each refusal is a test.

use bartizan_proto::frame;
use bartizan_proto::ids::TargetName;
use bartizan_proto::limits::MAX_PATH;
use bartizan_proto::remote::{DOMAIN, FORMAT, MAX_LIFETIME_S, RemoteOrder, SignedOrder};
use bartizan_proto::worker::Order;
use bartizan_proto::{List, Text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// Most keys in one file.
const MAX_KEYS: usize = 16;

/// Why nothing is run.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OrderRefused {
    /// Another program's form.
    #[error(
        "the order has format {0}, this bartizan-remote reads format {FORMAT}: install the one of the same version on both sides"
    )]
    Format(u16),
    /// Somebody else signed it, or nobody.
    #[error("the order is not signed by a broker key that is pinned here")]
    Signature,
    /// Signed, and yet no order.
    #[error("the order cannot be read: {0}")]
    Malformed(String),
    /// For somebody else.
    #[error("the order is for {for_whom}, and this is {here}")]
    Target {
        /// Whom.
        for_whom: TargetName,
        /// Here.
        here: TargetName,
    },
    /// Too late.
    #[error("the order expired {0} s ago, by this machine's clock")]
    Expired(u64),
    /// Too good.
    #[error("the order would be good for {0} s, and at most {MAX_LIFETIME_S} s are taken: are both clocks right?")]
    Lifetime(u64),
    /// Other bytes.
    #[error("the script is not the one that the order names")]
    Script,
}

/// The brokers whose orders are carried out here.
#[derive(Debug, Clone)]
pub struct BrokerKeys(Vec<VerifyingKey>);

/// A file with something else in it than keys.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {0} is no ed25519 public key: 32 bytes in base64, as `bartizan remote enroll` prints it")]
pub struct BadKeyFile(pub usize);

impl BrokerKeys {
    /// Reads a file's text: a key a line, `#` begins a remark. Two, while a key is changed.
    ///
    /// # Errors
    /// [`BadKeyFile`] with the first line that is none, or 0 when there is no key at all, or too many.
    pub fn parse(text: &str) -> Result<Self, BadKeyFile> {
        let mut keys = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let bad = BadKeyFile(number + 1);
            let bytes: [u8; 32] = BASE64.decode(line).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(bad)?;
            let key = VerifyingKey::from_bytes(&bytes).map_err(|_| BadKeyFile(number + 1))?;
            // Under such a key anything could be signed by anybody.
            if key.is_weak() {
                return Err(BadKeyFile(number + 1));
            }
            keys.push(key);
        }
        if keys.is_empty() || keys.len() > MAX_KEYS { Err(BadKeyFile(0)) } else { Ok(Self(keys)) }
    }

    fn signed(&self, order: &SignedOrder) -> bool {
        let Ok(signature) = Signature::from_slice(&order.signature) else { return false };
        let message = [DOMAIN, &*order.order].concat();
        self.0.iter().any(|key| key.verify_strict(&message, &signature).is_ok())
    }
}

/// The order, if it is one that may be carried out here and now. That it was not carried out before is `used.rs`'s to say.
///
/// # Errors
/// [`OrderRefused`], the first that holds in the order of the list.
pub fn verify(
    signed: &SignedOrder,
    script: &[u8],
    keys: &BrokerKeys,
    here: &TargetName,
    now_s: u64,
) -> Result<RemoteOrder, OrderRefused> {
    // 1. Of this form, by one of these keys. Before that nothing in it is looked at.
    if signed.format != FORMAT {
        return Err(OrderRefused::Format(signed.format));
    }
    if !keys.signed(signed) {
        return Err(OrderRefused::Signature);
    }
    let order: RemoteOrder =
        frame::decode(&signed.order).map_err(|error| OrderRefused::Malformed(error.to_string()))?;
    // 2. For this machine.
    if order.target != *here {
        return Err(OrderRefused::Target { for_whom: order.target, here: here.clone() });
    }
    // 3. Now.
    match order.expires_s.checked_sub(now_s) {
        None | Some(0) => return Err(OrderRefused::Expired(now_s.saturating_sub(order.expires_s))),
        Some(left) if left > MAX_LIFETIME_S => return Err(OrderRefused::Lifetime(left)),
        Some(_) => {}
    }
    // 4. With this script.
    if Sha256::digest(script).as_slice() != order.sha256 {
        return Err(OrderRefused::Script);
    }
    Ok(order)
}

/// The same as the sandbox takes it: a script from memory alone, without secrets, calls or sockets of its own.
pub fn for_worker(order: RemoteOrder) -> Order {
    Order {
        job: order.job,
        path: Text::<MAX_PATH>::cut(format!("/bartizan-script/{}", order.name)),
        name: order.name,
        arguments: order.arguments,
        environment: order.environment,
        secrets: List::default(),
        alone: true,
        api: false,
        sealed: true,
        sockets: false,
        plan: false,
        daemon: None,
        profile: order.profile,
        require: order.require,
        timeout_ms: order.timeout_ms,
        grace_ms: order.grace_ms,
        max_output: order.max_output,
        without: List::default(),
    }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
