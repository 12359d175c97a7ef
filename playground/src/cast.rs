//! The cast of a transcript: which server, team, channels and people there are, and the tokens to act as
//! them. This is the form of the file that `SERVER=file.json` names, and what the embedded server hands out.
//! Everything here is a test's own credentials; nothing real is ever put into one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The people of the fixed cast: admin, operator, user, unlisted and banned, in Bartizan's terms.
/// To the Mattermost server all of them are ordinary users.
pub const PEOPLE: [&str; 5] = ["alice", "bob", "carol", "dave", "mallory"];

/// The channels of the fixed cast; everybody is a member of each.
pub const CHANNELS: [&str; 4] = ["ops", "deployments", "random", "town-square"];

/// A custom group of the server's, and who is in it.
pub const GROUP: (&str, [&str; 2]) = ("on-call", ["bob", "dave"]);

/// The team's name, and the bot's.
pub const TEAM: &str = "bartizan";

/// The bot's username.
pub const BOT: &str = "bartizan";

/// A Mattermost server and whom one may act as there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerFile {
    /// Base address without a trailing slash, such as `http://127.0.0.1:8065`.
    pub url: String,
    /// The team everything happens in.
    pub team: Named,
    /// Channel ids by channel name.
    pub channels: BTreeMap<String, String>,
    /// People by username.
    pub users: BTreeMap<String, User>,
    /// The account Bartizan speaks as.
    pub bot: Bot,
    /// The CA that signed the server's certificate, where it is not a public one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
}

/// Something with a name and an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The name in addresses and mentions.
    pub name: String,
    /// The 26-character id.
    pub id: String,
}

/// A person one may act as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The 26-character id.
    pub id: String,
    /// A personal access token.
    pub token: String,
}

/// The bot account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bot {
    /// The username, without `@`.
    pub name: String,
    /// The 26-character id.
    pub id: String,
    /// A personal access token.
    pub token: String,
}
