//! Every message of every socket (`proto/src/`): what can be decoded encodes to something that decodes to the same.

use bartizan_proto::bounded::List;
use bartizan_proto::carrier::{Attempt, FromCarrier, Resume, ToCarrier};
use bartizan_proto::connector::{
    Act, Attachment, Body, Cursor, Delivered, Delivery, DeliveryId, FromConnector, Reaction, Report, Start, ToConnector,
};
use bartizan_proto::control::{Answer, Request};
use bartizan_proto::egress::{
    AttestedGroup, ClientCertificate, FromEgress, Outcome, OwnRights, ProtectedAct, ProtectedOutcome, QuestionId,
    Setup, Subject, Target, ToEgress, WriteId,
};
use bartizan_proto::frame::{self, HEADER};
use bartizan_proto::ids::JobId;
use bartizan_proto::launcher::{ChildId, ExitStatus, FromLauncher, ToLauncher};
use bartizan_proto::limits::MAX_FRAME;
use bartizan_proto::script::{Answer as Answered, Call};
use bartizan_proto::verbs::{Failure, FromVerbs, RequestId, ToVerbs, Verb};
use bartizan_proto::worker::{
    CallId, Ending, FromWorker, InForce, Layer, LayerState, Limits, Order, Profile, ToWorker, Usage,
};
use bartizan_proto::{Bytes, Confidential, Role, Text, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// The first byte says which message it is.
///
/// # Panics
/// When a message that was decoded does not survive another round.
pub fn target(data: &[u8]) {
    let Some((which, payload)) = data.split_first() else { return };
    // What a frame cannot hold never gets here.
    let payload = &payload[..payload.len().min(MAX_FRAME)];
    match which % 15 {
        0 => round::<Version>(payload),
        1 => round::<ToLauncher>(payload),
        2 => round::<FromLauncher>(payload),
        3 => round::<ToConnector>(payload),
        4 => round::<FromConnector>(payload),
        5 => round::<ToEgress>(payload),
        6 => round::<FromEgress>(payload),
        7 => round::<ToVerbs>(payload),
        8 => round::<FromVerbs>(payload),
        9 => round::<ToCarrier>(payload),
        10 => round::<FromCarrier>(payload),
        11 => round::<ToWorker>(payload),
        12 => round::<FromWorker>(payload),
        13 => round::<Request>(payload),
        _ => round::<Answer>(payload),
    }
}

fn round<T: Serialize + DeserializeOwned + PartialEq + Debug>(payload: &[u8]) {
    let Ok(message) = frame::decode::<T>(payload) else { return };
    let again = frame::encode(&message).expect("what fitted a frame fits one again");
    let decoded: T = frame::decode(&again[HEADER..]).expect("what was encoded can be decoded");
    assert_eq!(message, decoded);
}

/// One or more of each.
pub fn corpus() -> Vec<Vec<u8>> {
    let mut corpus = Vec::new();
    each(0, &mut corpus, [Version::of(Role::Connector)]);
    let child = ChildId(7);
    each(1, &mut corpus, [ToLauncher::Start { child, role: Role::Worker }, ToLauncher::Kill { child }]);
    let failed = FromLauncher::StartFailed { child, why: Text::cut("no such file") };
    let ended = FromLauncher::Ended { child, status: Some(ExitStatus::Signal(9)) };
    each(
        2,
        &mut corpus,
        [FromLauncher::Started { child, pid: 4711, uid: 901 }, failed, ended, FromLauncher::Terminate],
    );
    each(3, &mut corpus, to_connector());
    each(4, &mut corpus, from_connector());
    each(5, &mut corpus, to_egress());
    each(6, &mut corpus, from_egress());
    each(7, &mut corpus, verbs().map(|verb| ToVerbs::Call { request: RequestId(3), verb: Box::new(verb) }));
    let answer = FromVerbs::Answer {
        request: RequestId(3),
        status: 200,
        retry_after_ms: Some(1000),
        body: Bytes::new(*b"{\"id\":\"x\"}").unwrap_or_default(),
    };
    let failed = FromVerbs::Failed { request: RequestId(3), failure: Failure::Timeout, why: Text::cut("30 s") };
    each(8, &mut corpus, [answer, failed]);
    let attempt = Attempt(2);
    let resume = Some(Resume { connection: Text::cut("abc"), sequence: 17 });
    let bytes = || Bytes::new(*b"\x89\x80\x01\x02\x03\x04").unwrap_or_default();
    each(9, &mut corpus, [ToCarrier::Open { attempt, resume }, ToCarrier::Data { attempt, bytes: bytes() }]);
    let refused = FromCarrier::Refused { attempt, status: 429, retry_after_ms: Some(5), why: Text::cut("too many") };
    each(10, &mut corpus, [FromCarrier::Opened { attempt }, refused, FromCarrier::Data { attempt, bytes: bytes() }]);
    each(
        11,
        &mut corpus,
        [
            ToWorker::Order(Box::new(order())),
            ToWorker::Stop { grace_ms: 5 },
            ToWorker::Inspect,
            ToWorker::Answer { call: CallId(1), answer: Answered::Value(Text::cut("x")) },
            ToWorker::Probe { network: true },
        ],
    );
    each(12, &mut corpus, from_worker());
    let job = JobId(12);
    each(
        13,
        &mut corpus,
        [
            Request::Status,
            Request::Inspect { job },
            Request::Kill { job },
            Request::History { script: None },
            Request::Log { job },
            Request::Schedule,
            Request::Receipt { job },
            Request::Restart { now: true },
            Request::EndLockdown,
            Request::Metrics,
            Request::Doctor,
        ],
    );
    each(
        14,
        &mut corpus,
        [Answer::Killing { job }, Answer::Restarting { running: 2, drain_ms: 5 }, Answer::Ps(List::default())],
    );
    corpus
}

fn each<T: Serialize>(which: u8, corpus: &mut Vec<Vec<u8>>, messages: impl IntoIterator<Item = T>) {
    for message in messages {
        let frame = frame::encode(&message).expect("examples are small");
        corpus.push([&[which], &frame[HEADER..]].concat());
    }
}

fn id<T: std::str::FromStr>(letter: char) -> T
where
    T::Err: Debug,
{
    letter.to_string().repeat(26).parse().expect("26 letters are an id")
}

fn to_connector() -> Vec<ToConnector> {
    let start = Start {
        bot: id('b'),
        bot_name: Text::cut("bartizan"),
        prefix: Text::cut("!"),
        max_post: 16_383,
        cursors: List::cut([Cursor { channel: id('c'), seen_ms: 5, begun_ms: 3 }]),
        listen: List::default(),
    };
    let reply = Act::Reply {
        channel: id('c'),
        root: id('p'),
        reply_id: Text::cut("r1"),
        body: Body::Output { head: Text::cut("**exit 0**"), output: Text::cut("```\nhello") },
        attachment: Some(Attachment {
            name: Text::cut("output.txt"),
            content: Bytes::new(*b"hello").unwrap_or_default(),
        }),
    };
    let react = Act::React { post: id('p'), emoji: "hourglass".parse().expect("an emoji's name") };
    let deliver = |act| ToConnector::Deliver(Box::new(Delivery { delivery: DeliveryId(9), again: true, act }));
    vec![ToConnector::Attach, ToConnector::Start(Box::new(start)), deliver(reply), deliver(react)]
}

/// What a connector says.
pub(super) fn from_connector() -> Vec<FromConnector> {
    let report = Report {
        post: id('p'),
        channel: id('c'),
        author: id('u'),
        root: Some(id('r')),
        text: Text::cut("!run hello who=Carol"),
        created_ms: 1_700_000_000_000,
        direct: false,
        caught_up: true,
        webhook: false,
    };
    let rejected = Delivered::Rejected { status: 403, why: Text::cut("no permission") };
    vec![
        FromConnector::Connected { resumed: true },
        FromConnector::Disconnected { why: Text::cut("the bytes ended"), retry_ms: 500 },
        FromConnector::Post(report),
        FromConnector::Reaction(Reaction {
            post: id('p'),
            user: id('u'),
            emoji: "white_check_mark".parse().expect("a name"),
        }),
        FromConnector::ReactionsMissed,
        FromConnector::Seen(Cursor { channel: id('c'), seen_ms: 8, begun_ms: 0 }),
        FromConnector::Delivered { delivery: DeliveryId(9), outcome: rejected },
    ]
}

fn to_egress() -> Vec<ToEgress> {
    let setup = Setup {
        url: Text::cut("https://chat.example.com"),
        token: token(),
        ca: Bytes::default(),
        team: Text::cut("ops"),
        proxy: Some(Text::cut("http://proxy.example.com:3128")),
        client: Some(ClientCertificate { chain: Bytes::default(), key: Confidential::default() }),
    };
    let question = QuestionId(3);
    let attest = |subject| ToEgress::Attest { question, subject };
    let (post, named) = (attest(Subject::Post(id('p'))), attest(Subject::UserNamed(Text::cut("alice"))));
    let emoji = List::cut(["+1".parse().expect("an emoji's name")]);
    let reactions = attest(Subject::Reactions { post: id('p'), emoji });
    let group = attest(Subject::GroupNamed(Text::cut("web")));
    let rights = attest(Subject::OwnRights);
    let create = ProtectedAct::Create {
        target: Target::Direct(id('u')),
        root: None,
        message: Text::cut("look"),
        key: Text::cut("alert-1"),
    };
    let protected = ToEgress::Protected { write: WriteId(4), act: Box::new(create), again: true };
    let delete = ToEgress::Protected {
        write: WriteId(5),
        act: Box::new(ProtectedAct::Delete { post: id('p'), channel: id('c') }),
        again: false,
    };
    let protect = ToEgress::Protect(List::cut([id('p')]));
    let token = ToEgress::Token(token());
    vec![
        ToEgress::Setup(Box::new(setup)),
        ToEgress::Attach,
        post,
        named,
        reactions,
        group,
        rights,
        protected,
        delete,
        protect,
        token,
    ]
}

fn token<const MAX: usize>() -> Confidential<MAX> {
    Confidential::copy_of(b"abcdefghijklmnopqrstuvwxyz").unwrap_or_default()
}

fn from_egress() -> Vec<FromEgress> {
    let question = QuestionId(3);
    let unavailable = Outcome::Unavailable { why: Text::cut("429") };
    let attested = |outcome| FromEgress::Attested { question, outcome };
    let unready = FromEgress::Unready { why: Text::cut("refused"), retry_ms: 100 };
    let posted = ProtectedOutcome::Posted { post: id('p'), channel: id('c') };
    let protected = FromEgress::Protected { write: WriteId(4), outcome: posted };
    let dropped = FromEgress::Dropped { session: 1, why: Text::cut("a call with a page size out of bounds") };
    let group = AttestedGroup { name: Text::cut("web"), members: List::cut([id('u')]) };
    let group = attested(Outcome::Group(Box::new(group)));
    let rights = OwnRights { mention_channels: List::cut([Text::cut("channel_user")]) };
    let rights = attested(Outcome::OwnRights(rights));
    vec![unready, attested(Outcome::NotFound), attested(unavailable), group, rights, protected, dropped]
}

fn verbs() -> [Verb; 4] {
    let post = Verb::CreatePost {
        channel: id('c'),
        root: Some(id('p')),
        message: Text::cut("Pong!"),
        pending: Text::cut("x:1"),
        reply_id: Text::cut("r1"),
        files: List::cut([id('f')]),
        card: Some(Box::default()),
    };
    [post, Verb::Channels, Verb::Thread { root: id('p') }, Verb::PostsSince { channel: id('c'), since_ms: 5 }]
}

/// An order as the core gives it.
pub(super) fn order() -> Order {
    let text = |text: &str| Text::cut(text);
    Order {
        job: JobId(1),
        name: "hello".parse().expect("a script's name"),
        path: text("/srv/scripts/hello"),
        arguments: List::cut([Text::cut("world"), Text::default()]),
        environment: List::cut([(Text::cut("LEVEL"), Text::cut("1"))]),
        secrets: List::default(),
        alone: false,
        api: false,
        sealed: false,
        sockets: false,
        plan: false,
        daemon: None,
        profile: Profile {
            read: List::cut([text("/srv/data")]),
            write: List::cut([text("/srv/out")]),
            exec: List::default(),
            network: List::default(),
            limits: Limits::default(),
        },
        require: List::default(),
        timeout_ms: 10_000,
        grace_ms: 5_000,
        max_output: 1 << 20,
        without: List::cut([Layer::Seccomp]),
    }
}

fn from_worker() -> Vec<FromWorker> {
    let layer = InForce { layer: Layer::Seccomp, state: LayerState::On, detail: Text::cut("Seccomp: 2") };
    let layers = List::cut([layer]);
    vec![
        FromWorker::Running { pid: 5, layers: layers.clone(), given: List::default() },
        FromWorker::Output(Bytes::new(*b"hello\n").unwrap_or_default()),
        FromWorker::Finished { ending: Ending::Ended(ExitStatus::Code(0)), usage: Usage::default() },
        FromWorker::Refused { step: Text::cut("landlock"), why: Text::cut("no") },
        FromWorker::Inspected { layers, usage: Usage::default(), pids: List::cut([1, 2]) },
        FromWorker::Call { call: CallId(1), what: Box::new(Call::Say { text: Text::cut("hi"), code: true }) },
        FromWorker::Hangup(CallId(1)),
        FromWorker::Misused(Text::cut("garbage")),
    ]
}
