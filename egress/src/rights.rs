//! What the bot may do on the server that it has no use for: have a whole channel notified. Asked for `bartizan doctor`, never for a
//! command.
//!
//! Rights come from roles: the account's, those in the team and those in each channel, which the server lists with what its
//! permission schemes made of them.

use crate::answers;
use crate::attest::{AttestError, Attestor};
use crate::http::{Body, Method, Request, StatusCode};
use bartizan_proto::egress::OwnRights;
use bartizan_proto::limits::{MAX_NAME, MAX_ROLES};
use bartizan_proto::{List, Text};
use serde::Deserialize;
use std::collections::BTreeSet;

/// The permission's id (`use_channel_mentions` in the server's `model/permission.go`).
const CHANNEL_MENTIONS: &str = "use_channel_mentions";

/// An account or a membership.
#[derive(Deserialize)]
struct Holder {
    #[serde(default)]
    roles: String,
}

#[derive(Deserialize)]
struct Role {
    name: Text<MAX_NAME>,
    #[serde(default)]
    permissions: Vec<String>,
}

impl Attestor {
    /// The bot's own.
    pub(crate) async fn own_rights(&self) -> Result<OwnRights, AttestError> {
        let (bot, team) = self.own_ids()?;
        let (bot, team) = (bot.as_str(), team.as_str());
        let account = self.get_with(&["users", bot], &[]).await?;
        let member = self.get_with(&["teams", team, "members", bot], &[]).await?;
        let members = self.get_with(&["users", bot, "teams", team, "channels", "members"], &[]).await?;
        let mut holders = vec![
            answers::parse::<Holder>("the bot's account", &account.body)?,
            answers::parse("the bot's membership", &member.body)?,
        ];
        holders.extend(answers::parse::<Vec<Holder>>("the bot's channels", &members.body)?);
        let names = roles(&holders);
        let body = Body::Json(serde_json::to_vec(&names).unwrap_or_default());
        let request = Request { method: Method::POST, path: &["roles", "names"], query: &[], body };
        let answer = self.call(request).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => return Err(AttestError::Token),
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => return Err(AttestError::NotFound),
            status => return Err(AttestError::Status(status)),
        }
        let known: Vec<Role> = answers::parse("a list of roles", &answer.body)?;
        let may = |role: &Role| role.permissions.iter().any(|one| one == CHANNEL_MENTIONS);
        let by = known.into_iter().filter(|role| names.contains(role.name.as_str()) && may(role)).map(|role| role.name);
        Ok(OwnRights { mention_channels: List::cut(by) })
    }
}

/// Their roles, each once. What could not be a role's name is none.
fn roles(holders: &[Holder]) -> BTreeSet<&str> {
    let plain = |name: &&str| {
        name.len() <= 64 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let all: BTreeSet<&str> = holders.iter().flat_map(|holder| holder.roles.split_whitespace()).filter(plain).collect();
    all.into_iter().take(MAX_ROLES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_names_each_once() {
        let holder = |roles: &str| Holder { roles: roles.to_owned() };
        let holders = [
            holder("system_user  system_post_all"),
            holder("team_user"),
            holder("channel_user ../x A \u{e9}"),
            holder("channel_user"),
        ];
        let found: Vec<&str> = roles(&holders).into_iter().collect();
        assert_eq!(found, ["channel_user", "system_post_all", "system_user", "team_user"]);
    }
}
