//! Roles: which permissions each has, as a fresh server has them, less what an administrator took away. Only those that somebody
//! asks for here or that decide something here are listed.

use super::state::State;
use serde_json::{Value, json};

/// The permission to have a whole channel notified.
const CHANNEL_MENTIONS: &str = "use_channel_mentions";

/// A fresh server's (`model/role.go`), in part.
const ROLES: [(&str, &[&str]); 9] = [
    (
        "system_user",
        &["list_public_teams", "join_public_teams", "create_direct_channel", "create_group_channel", "view_members"],
    ),
    ("system_guest", &["create_direct_channel", "create_group_channel"]),
    ("system_admin", &["manage_system", "edit_other_users", CHANNEL_MENTIONS, "create_post", "read_channel"]),
    ("team_user", &["list_team_channels", "join_public_channels", "read_public_channel", "view_team"]),
    ("team_guest", &["view_team"]),
    ("team_admin", &["remove_user_from_team", "manage_team", "manage_team_roles"]),
    (
        "channel_user",
        &[
            "read_channel",
            "add_reaction",
            "remove_reaction",
            "upload_file",
            "create_post",
            "edit_post",
            "delete_post",
            CHANNEL_MENTIONS,
        ],
    ),
    (
        "channel_guest",
        &[
            "read_channel",
            "add_reaction",
            "remove_reaction",
            "upload_file",
            "create_post",
            "edit_post",
            CHANNEL_MENTIONS,
        ],
    ),
    ("channel_admin", &["manage_channel_roles"]),
];

impl State {
    /// A role as the API shows it; there are no others.
    pub(crate) fn role(&self, name: &str) -> Option<Value> {
        let permissions = self.permissions(name)?;
        Some(json!({
            "id": format!("{name:0<26.26}").replace('_', "0"), "name": name, "display_name": format!("authentication.roles.{name}.name"),
            "description": format!("authentication.roles.{name}.description"), "create_at": 0, "update_at": 0,
            "delete_at": 0, "permissions": permissions, "scheme_managed": true, "built_in": true,
        }))
    }

    fn permissions(&self, role: &str) -> Option<Vec<&'static str>> {
        let (_, permissions) = ROLES.iter().find(|(name, _)| *name == role)?;
        let kept = |permission: &&&str| !self.taken.contains(&(role.to_owned(), (**permission).to_owned()));
        Some(permissions.iter().filter(kept).copied().collect())
    }

    /// Whether somebody's `@channel` notifies everybody there.
    pub(crate) fn may_mention_channel(&self, user_id: &str, channel_id: &str) -> bool {
        let account = self.users.get(user_id).map_or("", |user| user.roles);
        let member =
            self.members.get(channel_id).and_then(|members| members.get(user_id)).map_or("", |member| member.roles);
        let mut roles = account.split(' ').chain(member.split(' '));
        roles.any(|role| self.permissions(role).is_some_and(|permissions| permissions.contains(&CHANNEL_MENTIONS)))
    }
}
