//! Another token while egress runs: the server is asked about it first, and only the same bot's takes the place of the one
//! before. Then the websocket is opened anew by itself (`carrier.rs`).

use crate::answers;
use crate::http::{Http, REQUEST_LIMIT, Request, StatusCode};
use crate::token::Token;
use crate::verify::Identity;
use bartizan_proto::Text;
use bartizan_proto::egress::{FromEgress, TokenVerdict};
use bartizan_secret::Zeroizing;
use tokio::sync::{mpsc, watch};

/// Asks, exchanges the token if the answer is good, and tells the core either way.
pub async fn rotate(
    token: Zeroizing<Vec<u8>>,
    http: Http,
    identity: watch::Receiver<Option<Identity>>,
    core: mpsc::Sender<FromEgress>,
) {
    let verdict = match Token::keep(token) {
        Ok(new) => check(new, &http, &identity).await,
        Err(error) => TokenVerdict::Refused { why: Text::cut(error.to_string()) },
    };
    let in_use = verdict == TokenVerdict::InUse;
    tracing::info!(?verdict, "a new token");
    let _core_gone = core.send(FromEgress::TokenChecked(verdict)).await;
    if in_use {
        tokio::time::sleep(REQUEST_LIMIT).await;
        http.token().forget_before();
    }
}

async fn check(new: Token, http: &Http, identity: &watch::Receiver<Option<Identity>>) -> TokenVerdict {
    let answer = match http.with_token(new.clone()).call(Request::get(&["users", "me"])).await {
        Ok(answer) => answer,
        Err(error) => return TokenVerdict::Unanswered { why: Text::cut(error.to_string()) },
    };
    match answer.status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return TokenVerdict::Refused { why: Text::cut(format!("it answers {}", answer.status.as_u16())) };
        }
        status => return TokenVerdict::Unanswered { why: Text::cut(format!("it answers {status}")) },
    }
    let me = match answers::user(&answer.body) {
        Ok(me) => me,
        Err(error) => return TokenVerdict::Unanswered { why: Text::cut(error.to_string()) },
    };
    // Before the server ever answered there is no other account to compare with.
    let known = *identity.borrow();
    if known.is_some_and(|known| known.bot != me.id) {
        return TokenVerdict::OtherAccount { name: me.name };
    }
    http.token().exchange(&new);
    TokenVerdict::InUse
}
