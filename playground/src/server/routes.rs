//! Which address is answered by what.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post, put};

use super::state::Shared;
use super::{
    bots, channels, conversations, drafts, edits, files, gateway, groups, hooks, listing, members, reactions, statuses,
    system, teams, users, websocket,
};

/// More than this no request may carry; what a post or a file may have is checked where it is handled.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// The whole server.
pub(crate) fn all(shared: Arc<Shared>) -> Router {
    let api = Router::new()
        .merge(about_users())
        .merge(about_channels())
        .merge(about_posts())
        .route("/websocket", get(websocket::upgrade))
        .route("/system/ping", get(system::ping))
        .route("/config/client", get(system::config))
        .route("/license/client", get(system::license))
        .route("/roles/names", post(system::roles))
        .route("/roles/name/{name}", get(system::role_by_name))
        .route("/emoji", get(system::none))
        .route("/commands/execute", post(system::execute))
        .route("/bots", get(bots::all).post(bots::create))
        .route("/bots/{id}", get(bots::by_id))
        .route("/hooks/incoming", get(hooks::all).post(hooks::create))
        .route("/hooks/incoming/{id}", delete(hooks::delete))
        .route("/teams", get(teams::all))
        .route("/teams/{id}", get(teams::by_id))
        .route("/teams/name/{name}", get(teams::by_name))
        .route("/teams/{id}/members", get(teams::members))
        .route("/teams/{id}/members/{user}", get(teams::member))
        .route("/groups", get(groups::all))
        .route("/groups/{id}/members", get(groups::members))
        .route("/files", post(files::upload))
        .route("/files/{id}", get(files::content))
        .route("/files/{id}/info", get(files::info));
    Router::new()
        .nest("/api/v4", api)
        .route("/hooks/{id}", post(hooks::post))
        .fallback(system::unknown)
        .method_not_allowed_fallback(system::unknown)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn_with_state(Arc::clone(&shared), gateway::pass))
        .with_state(shared)
}

fn about_users() -> Router<Arc<Shared>> {
    Router::new()
        .route("/users", get(users::all))
        .route("/users/login", post(users::login))
        .route("/users/logout", post(users::logout))
        .route("/users/ids", post(users::by_ids))
        .route("/users/usernames", post(users::by_names))
        .route("/users/search", post(users::search))
        .route("/users/autocomplete", get(users::autocomplete))
        .route("/users/username/{name}", get(users::by_name))
        .route("/users/email/{email}", get(users::by_email))
        .route("/users/status/ids", post(statuses::by_ids))
        .route("/users/{id}", get(users::by_id).delete(users::deactivate))
        .route("/users/{id}/patch", put(users::patch))
        .route("/users/{id}/tokens", post(users::new_token))
        .route("/users/{id}/status", get(statuses::of).put(statuses::set))
        .route("/users/{id}/typing", post(system::typing))
        .route("/users/{id}/preferences", get(system::preferences).put(system::set_preferences))
        .route("/users/{id}/sessions", get(system::none))
        .route("/users/{id}/teams", get(teams::all))
        .route("/users/{id}/teams/unread", get(system::none))
        .route("/users/{id}/teams/members", get(teams::memberships))
        .route("/users/{id}/channels", get(channels::of_user))
        .route("/users/{id}/teams/{team}/channels", get(channels::of_user_in_team))
        .route("/users/{id}/teams/{team}/channels/members", get(members::of_user))
        .route("/users/{id}/posts/{post}/reactions/{emoji}", delete(reactions::remove))
}

fn about_channels() -> Router<Arc<Shared>> {
    Router::new()
        .route("/teams/{id}/channels", get(channels::open))
        .route("/teams/{id}/channels/name/{name}", get(channels::by_name))
        .route("/teams/name/{team}/channels/name/{name}", get(channels::by_team_name))
        .route("/channels", post(channels::create))
        .route("/channels/direct", post(conversations::direct))
        .route("/channels/group", post(conversations::group))
        .route("/channels/members/{user}/view", post(members::view))
        .route("/channels/{id}", get(channels::by_id).delete(channels::archive))
        .route("/channels/{id}/patch", put(channels::patch))
        .route("/channels/{id}/stats", get(members::stats))
        .route("/channels/{id}/members", get(members::all).post(members::add))
        .route("/channels/{id}/members/ids", post(members::by_ids))
        .route("/channels/{id}/members/{user}", get(members::one).delete(members::remove))
        .route("/channels/{id}/posts", get(listing::of_channel))
        .route("/channels/{id}/pinned", get(listing::pinned))
}

fn about_posts() -> Router<Arc<Shared>> {
    Router::new()
        .route("/posts", post(drafts::create))
        .route("/posts/ephemeral", post(drafts::ephemeral))
        .route("/posts/ids/reactions", post(reactions::of_posts))
        .route("/posts/{id}", get(listing::one).put(edits::update).delete(edits::delete))
        .route("/posts/{id}/patch", put(edits::patch))
        .route("/posts/{id}/pin", post(edits::pin))
        .route("/posts/{id}/unpin", post(edits::unpin))
        .route("/posts/{id}/thread", get(listing::thread))
        .route("/posts/{id}/reactions", get(reactions::of_post))
        .route("/posts/{id}/files/info", get(files::of_post))
        .route("/reactions", post(reactions::add))
}
