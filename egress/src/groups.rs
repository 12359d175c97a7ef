//! Who is in a group of the server's: custom groups, and those of LDAP where the bot's role shows them.
//!
//! Only a whole list is an answer. A server without groups (they need a licence) has none of any name.

use crate::answers;
use crate::attest::{AttestError, Attestor, checked_name};
use crate::http::StatusCode;
use bartizan_proto::egress::AttestedGroup;
use bartizan_proto::ids::{GroupId, UserId};
use bartizan_proto::limits::{MAX_GROUP, MAX_NAME};
use bartizan_proto::{List, Text};
use serde::Deserialize;

/// Most of anything on one page of the API.
const PER_PAGE: usize = 200;

#[derive(Deserialize)]
struct Group {
    id: GroupId,
    /// None of one that cannot be mentioned.
    #[serde(default)]
    name: Option<Text<MAX_NAME>>,
    #[serde(default)]
    delete_at: u64,
}

#[derive(Deserialize)]
struct Members {
    #[serde(default)]
    members: Option<Vec<Member>>,
    #[serde(rename = "total_member_count")]
    total: usize,
}

#[derive(Deserialize)]
struct Member {
    id: UserId,
}

impl Attestor {
    /// The group that has this name now, with everybody in it.
    pub(crate) async fn group_named(&self, name: &str) -> Result<AttestedGroup, AttestError> {
        let per_page = PER_PAGE.to_string();
        let found = self.get_with(&["groups"], &[("q", checked_name(name)?), ("per_page", &per_page)]).await;
        let answer = match found {
            // What a server without the licence answers.
            Err(AttestError::Status(StatusCode::NOT_IMPLEMENTED)) => return Err(AttestError::NotFound),
            other => other?,
        };
        let groups: Vec<Group> = answers::parse::<Option<_>>("a list of groups", &answer.body)?.unwrap_or_default();
        let is_asked = |group: &Group| group.delete_at == 0 && group.name.as_deref().is_some_and(|own| own == name);
        let group = groups.iter().find(|group| is_asked(group)).ok_or(AttestError::NotFound)?;
        let mut members: Vec<UserId> = Vec::new();
        for page in 0..=MAX_GROUP / PER_PAGE {
            let query = [("page", page.to_string()), ("per_page", per_page.clone())];
            let query = query.each_ref().map(|(key, value)| (*key, value.as_str()));
            let answer = self.get_with(&["groups", group.id.as_str(), "members"], &query).await?;
            let listed: Members = answers::parse("the members of a group", &answer.body)?;
            let some = listed.members.unwrap_or_default();
            let last = some.len() < PER_PAGE;
            members.extend(some.into_iter().map(|member| member.id));
            if last || members.len() >= listed.total {
                members.sort_unstable();
                members.dedup();
                let members = List::new(members).map_err(|_| AttestError::LargeGroup)?;
                return Ok(AttestedGroup { name: Text::cut(name), members });
            }
        }
        Err(AttestError::LargeGroup)
    }
}
