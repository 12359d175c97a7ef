//! The secrets of a script, as they are written in the allowlist.

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// A secret of a script: its name alone, or with a variable to put it into.
pub(super) struct Attached {
    pub(super) secret: String,
    pub(super) variable: Option<String>,
}

impl<'de> Deserialize<'de> for Attached {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        struct Full {
            secret: String,
            variable: Option<String>,
        }
        struct Taker;
        impl<'de> Visitor<'de> for Taker {
            type Value = Attached;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("NAMESPACE/NAME, or a table with secret and variable")
            }
            fn visit_str<E: Error>(self, secret: &str) -> Result<Attached, E> {
                Ok(Attached { secret: secret.to_owned(), variable: None })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Attached, A::Error> {
                let full = Full::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Attached { secret: full.secret, variable: full.variable })
            }
        }
        deserializer.deserialize_any(Taker)
    }
}
