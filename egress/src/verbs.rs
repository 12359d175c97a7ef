//! The connector's calls: each is made once, as it was asked, and answered under its number.

pub mod request;

use crate::http::{Answer, HttpError};
use crate::session::{Ends, SessionError, greet};
use bartizan_proto::channel::Channel;
use bartizan_proto::limits::MAX_REASON;
use bartizan_proto::stream::{Receiver, Sender};
use bartizan_proto::verbs::{Failure, FromVerbs, RequestId, ToVerbs, Verb};
use bartizan_proto::{Bytes, Text};
use request::{NotMade, make};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Most calls at once; the next is answered with [`Failure::Busy`].
pub const MAX_IN_FLIGHT: usize = 64;
/// Most answers that wait for the connector to read.
const QUEUE: usize = 8;

/// Serves the connector's verbs until it closes its end.
///
/// # Errors
/// [`SessionError`]; the connector is to be dropped.
pub async fn serve(channel: Channel, ends: Ends) -> Result<(), SessionError> {
    let (sender, receiver) = greet(channel).await?;
    let (answers, outbox) = mpsc::channel(QUEUE);
    tokio::select! {
        ended = take_calls(receiver, ends, answers) => ended,
        ended = write(sender, outbox) => ended,
    }
}

async fn take_calls(mut receiver: Receiver, ends: Ends, answers: mpsc::Sender<FromVerbs>) -> Result<(), SessionError> {
    let mut calls = JoinSet::new();
    loop {
        let message = tokio::select! {
            message = receiver.next() => message?,
            Some(ended) = calls.join_next() => { ended??; continue }
        };
        let Some(ToVerbs::Call { request, verb }) = message else { return Ok(()) };
        if calls.len() < MAX_IN_FLIGHT {
            calls.spawn(answer(request, verb, ends.clone(), answers.clone()));
        } else {
            let why = Text::cut("too many calls at once");
            let _connector_gone = answers.send(FromVerbs::Failed { request, failure: Failure::Busy, why }).await;
        }
    }
}

async fn answer(
    request: RequestId,
    verb: Box<Verb>,
    ends: Ends,
    answers: mpsc::Sender<FromVerbs>,
) -> Result<(), SessionError> {
    let identity = *ends.identity.borrow();
    let failed = |failure, why: &dyn std::fmt::Display| FromVerbs::Failed { request, failure, why: reason(why) };
    if let Some(post) = request::changed(&verb)
        && ends.register.is_protected(post).await
    {
        return Err(SessionError::Call("a change of a post that the core itself wrote"));
    }
    let message = match make(&ends.http, *verb, identity).await {
        Ok(Answer { status, retry_after_ms, body, server_ms: _ }) => match Bytes::new(body) {
            Ok(body) => FromVerbs::Answer { request, status: status.as_u16(), retry_after_ms, body },
            Err(error) => failed(Failure::TooLarge, &error),
        },
        Err(NotMade::Refused(what)) => return Err(SessionError::Call(what)),
        Err(NotMade::NotReady) => failed(Failure::Network, &"the server has not been reached yet"),
        Err(NotMade::Http(error)) => failed(failure(&error), &error),
    };
    // A closed queue means that the connector is gone; the session ends by itself.
    let _connector_gone = answers.send(message).await;
    Ok(())
}

fn failure(error: &HttpError) -> Failure {
    match error {
        HttpError::Network(_) => Failure::Network,
        HttpError::Timeout => Failure::Timeout,
        HttpError::TooLarge => Failure::TooLarge,
    }
}

fn reason(why: &dyn std::fmt::Display) -> Text<MAX_REASON> {
    Text::cut(why.to_string())
}

async fn write(sender: Sender, mut outbox: mpsc::Receiver<FromVerbs>) -> Result<(), SessionError> {
    while let Some(message) = outbox.recv().await {
        sender.send(&message).await?;
    }
    Ok(())
}
