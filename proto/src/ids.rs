//! Identifiers, each its own type: a post's id can never be passed for a user's.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The text is not such an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct InvalidId(pub &'static str);

macro_rules! mattermost_id {
    ($(#[$doc:meta] $name:ident, $what:literal;)*) => {$(
        #[$doc]
        ///
        /// 26 characters of `a-z0-9`, as the Mattermost server makes them (model.NewId: z-base-32 of 16 random bytes).
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 26]);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0).unwrap_or("")
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let bytes: [u8; 26] = text.as_bytes().try_into().map_err(|_| InvalidId($what))?;
                if bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
                    Ok(Self(bytes))
                } else {
                    Err(InvalidId($what))
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

mattermost_id! {
    /// A person or bot on the Mattermost server.
    UserId, "user id";
    /// A group of the server.
    GroupId, "group id";
    /// A channel, direct messages included.
    ChannelId, "channel id";
    /// A post.
    PostId, "post id";
    /// A team.
    TeamId, "team id";
    /// An uploaded file.
    FileId, "file id";
}

/// A job, numbered from 1 in the order of starting; never used twice by one installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidId("job number"));
        }
        text.parse().map(Self).map_err(|_| InvalidId("job number"))
    }
}

macro_rules! checked_name {
    ($(#[$doc:meta] $name:ident, $what:literal, $max:literal, $allowed:expr;)*) => {$(
        #[$doc]
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let allowed: fn(u8) -> bool = $allowed;
                if !text.is_empty() && text.len() <= $max && !text.starts_with('.') && text.bytes().all(allowed) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId($what))
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

checked_name! {
    /// The name of a script on the allowlist: `[a-zA-Z0-9_-]+`, at most 64 bytes.
    ScriptName, "script name", 64, |b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    /// A machine that jobs are done on: `[a-zA-Z0-9_.-]+`, no dot first, at most 64 bytes.
    TargetName, "target's name", 64, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    /// A flag that a person can have and a script can require: `[a-zA-Z0-9_-]+`, at most 64 bytes.
    FlagName, "flag", 64, |b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    /// The name of an emoji as Mattermost writes it between colons: `[a-z0-9_+-]+`, at most 64 bytes.
    EmojiName, "emoji name", 64, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'+' | b'-');
}

checked_name! {
    /// Whose a secret or memory is: `[a-zA-Z0-9_.-]+`, no dot first, at most 64 bytes. `bot` is the bot's own.
    Namespace, "namespace", 64, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    /// The name of a secret or a memory in its namespace: the same characters, at most 64 bytes.
    MemoryKey, "name", 64, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
}

/// A secret: `NAMESPACE/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SecretName {
    /// Whose it is.
    pub namespace: Namespace,
    /// What it is called there.
    pub key: MemoryKey,
}

impl FromStr for SecretName {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        const WHAT: InvalidId = InvalidId("secret's name; write it as NAMESPACE/NAME, in letters, digits, - _ and .");
        let (namespace, key) = text.split_once('/').ok_or(WHAT)?;
        Ok(Self { namespace: namespace.parse().map_err(|_| WHAT)?, key: key.parse().map_err(|_| WHAT)? })
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mattermost_id_is_26_lower_case_letters_and_digits_and_nothing_else() {
        assert!("abcdefghijklmnopqrstuvwxyz".parse::<UserId>().is_ok());
        for bad in ["", "abc", "abcdefghijklmnopqrstuvwxy/", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "../../../../../../users/me"]
        {
            assert!(bad.parse::<PostId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_has_a_namespace_and_a_name_and_neither_is_a_path() {
        assert_eq!(
            "deploy/api-key.v2".parse::<SecretName>().map(|n| n.to_string()),
            Ok("deploy/api-key.v2".to_owned())
        );
        for bad in ["", "x", "/x", "x/", "a/b/c", "../x", "x/..", "x/.hidden", "a b/c", "a/b\n"] {
            assert!(bad.parse::<SecretName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_script_name_cannot_be_a_path() {
        for bad in ["", "../x", "/bin/sh", "a b", "a\0b", "a.b", "é", &"x".repeat(65)] {
            assert!(bad.parse::<ScriptName>().is_err(), "{bad}");
        }
        assert!("disk-usage_2".parse::<ScriptName>().is_ok());
    }

    #[test]
    fn a_job_number_takes_digits_only() {
        assert!("+1".parse::<JobId>().is_err());
        assert_eq!("17".parse(), Ok(JobId(17)));
    }
}
