//! Is the server there, does it know the token, and who is the bot? Asked at start until the answer is yes, and again
//! whenever the server refuses the token.

use crate::answers::{self, AnswerError, ClientConfig, Team};
use crate::backoff::Backoff;
use crate::http::{Answer, Http, HttpError, Request, StatusCode};
use bartizan_proto::Text;
use bartizan_proto::egress::{FromEgress, Ready};
use bartizan_proto::ids::{TeamId, UserId};
use bartizan_proto::limits::MAX_NAME;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// The shortest time between two checks after refused tokens.
const RECHECK_PAUSE: Duration = Duration::from_secs(1);

/// Whom the token belongs to, and where it works. `None` until the server has said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The bot.
    pub bot: UserId,
    /// The configured team.
    pub team: TeamId,
}

/// Why the server cannot be used now.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The token is wrong, expired or revoked.
    #[error("the server does not accept the bot's token (401): create a new one and store it")]
    Token,
    /// The team is not there, or the bot is not in it.
    #[error("the server knows no team {0}, or the bot is not a member of it")]
    Team(Text<MAX_NAME>),
    /// Another status than 200.
    #[error("the server answered {status} to {what}")]
    Status {
        /// The question.
        what: &'static str,
        /// The status.
        status: StatusCode,
        /// From `Retry-After`.
        retry_after_ms: Option<u32>,
    },
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An answer that cannot be read.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

/// Checks the server until it can be used, tells the core either way, and starts again when the token is refused.
/// Ends when the core is gone.
pub async fn keep_verified(
    http: Http,
    team: Text<MAX_NAME>,
    identity: watch::Sender<Option<Identity>>,
    core: mpsc::Sender<FromEgress>,
) {
    let mut backoff = Backoff::default();
    let mut told_ready = false;
    loop {
        match verify(&http, &team).await {
            Ok(ready) => {
                backoff.reset();
                identity.send_replace(Some(Identity { bot: ready.bot.id, team: ready.team }));
                if !told_ready {
                    tracing::info!(version = ?ready.server_version, bot = ?ready.bot.name, "the server is ready");
                    if ready.bot.system_admin {
                        tracing::warn!("the bot is a system administrator of the server; it should not be");
                    }
                    if core.send(FromEgress::Ready(Box::new(ready))).await.is_err() {
                        return;
                    }
                    told_ready = true;
                }
                http.unauthorized().await;
                tokio::time::sleep(RECHECK_PAUSE).await;
            }
            Err(error) => {
                told_ready = false;
                let wait = wait_after(&error, &mut backoff);
                let retry_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
                tracing::warn!(retry_ms, "the server cannot be used: {error}");
                if core.send(FromEgress::Unready { why: Text::cut(error.to_string()), retry_ms }).await.is_err() {
                    return;
                }
                // A new token may be just what was missing.
                let mut changes = http.token().changes();
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    _ = changes.changed() => backoff.reset(),
                }
            }
        }
    }
}

fn wait_after(error: &VerifyError, backoff: &mut Backoff) -> Duration {
    let asked = match error {
        VerifyError::Status { retry_after_ms, .. } => retry_after_ms.unwrap_or(0),
        VerifyError::Token | VerifyError::Team(_) | VerifyError::Http(_) | VerifyError::Answer(_) => 0,
    };
    backoff.next_wait().max(Duration::from_millis(asked.into()))
}

async fn verify(http: &Http, team: &Text<MAX_NAME>) -> Result<Ready, VerifyError> {
    let by_name = ["teams", "name", team];
    let config = Request { query: &[("format", "old")], ..Request::get(&["config", "client"]) };
    let (me, found, config) =
        tokio::join!(http.call(Request::get(&["users", "me"])), http.call(Request::get(&by_name)), http.call(config),);
    let me = expect_ok("GET /users/me", me?)?;
    let found = match found? {
        answer if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN) => {
            return Err(VerifyError::Team(team.clone()));
        }
        answer => Team::parse(&expect_ok("GET /teams/name", answer)?.body)?,
    };
    if !found.name.eq_ignore_ascii_case(team) {
        return Err(AnswerError::OtherSubject.into());
    }
    let config = ClientConfig::parse(&expect_ok("GET /config/client", config?)?.body)?;
    Ok(Ready {
        bot: answers::user(&me.body)?,
        team: found.id,
        max_post: config.max_post(),
        server_version: config.version,
        server_ms: me.server_ms.ok_or(AnswerError::NoDate)?,
    })
}

fn expect_ok(what: &'static str, answer: Answer) -> Result<Answer, VerifyError> {
    match answer.status {
        StatusCode::OK => Ok(answer),
        StatusCode::UNAUTHORIZED => Err(VerifyError::Token),
        status => Err(VerifyError::Status { what, status, retry_after_ms: answer.retry_after_ms }),
    }
}
