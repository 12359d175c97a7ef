//! `people.toml`, `groups.toml` and `[groups]` as they are written.

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;

/// `people.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeopleFile {
    #[serde(default)]
    pub(super) people: BTreeMap<String, Listed>,
}

/// `groups.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupsFile {
    #[serde(default)]
    pub(super) groups: BTreeMap<String, Group>,
}

/// One person of `people.toml`: a level, or a table with more.
pub(super) struct Listed {
    pub(super) level: String,
    pub(super) flags: Vec<String>,
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            level: String,
            #[serde(default)]
            flags: Vec<String>,
        }
        struct Taker;
        impl<'de> Visitor<'de> for Taker {
            type Value = Listed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a level, or a table with level and flags")
            }
            fn visit_str<E: Error>(self, level: &str) -> Result<Listed, E> {
                Ok(Listed { level: level.to_owned(), flags: Vec::new() })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Listed, A::Error> {
                let Whole { level, flags } = Whole::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Listed { level, flags })
            }
        }
        deserializer.deserialize_any(Taker)
    }
}

/// A group: its people, or the name of a group on the Mattermost server.
pub(super) enum Group {
    Members(Vec<String>),
    Mattermost(String),
}

impl<'de> Deserialize<'de> for Group {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Named {
            mattermost: String,
        }
        struct Taker;
        impl<'de> Visitor<'de> for Taker {
            type Value = Group;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of people, or { mattermost = \"its name there\" }")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Group, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = list.next_element()? {
                    members.push(member);
                }
                Ok(Group::Members(members))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Group, A::Error> {
                let Named { mattermost } = Named::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Group::Mattermost(mattermost))
            }
        }
        deserializer.deserialize_any(Taker)
    }
}
