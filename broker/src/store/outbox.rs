//! The durable outbox: everything that chat is still to be shown.

use super::{Store, StoreError, id, now_ms, signed, unsigned};
use bartizan_proto::connector::{Act, Attachment, Body, DeliveryId};
use bartizan_proto::{Bytes, Text};
use rusqlite::{Row, params};

impl Store {
    /// Puts something to be shown into the outbox.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn send(&mut self, delivery: DeliveryId, act: &Act, again: bool) -> Result<(), StoreError> {
        let (mut markup, mut output, mut card, mut reply, mut attached) = (None, None, None, None, None);
        let mut take = |body: &Body| match body {
            Body::Markup(text) => markup = Some(text.to_string()),
            Body::Output { head, output: raw } => {
                markup = Some(head.to_string());
                output = Some(raw.to_string());
            }
            Body::Card(made) => card = Some(serde_json::to_string(made)),
        };
        let (kind, channel, post, emoji) = match act {
            Act::Reply { channel, root, reply_id, body, attachment } => {
                take(body);
                reply = Some(reply_id.to_string());
                attached = attachment.as_ref();
                ("reply", Some(*channel), root, None)
            }
            Act::Edit { post, body } => {
                take(body);
                ("edit", None, post, None)
            }
            Act::React { post, emoji } => ("react", None, post, Some(emoji)),
            Act::Unreact { post, emoji } => ("unreact", None, post, Some(emoji)),
        };
        self.write()?
            .prepare_cached(
                "INSERT INTO outbox (id, kind, channel, post, reply_id, emoji, markup, output, attachment_name, attachment,
                 queued_ms, again, card) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(params![
                signed(delivery.0),
                kind,
                channel.map(|channel| channel.to_string()),
                post.as_str(),
                reply,
                emoji.map(bartizan_proto::ids::EmojiName::as_str),
                markup,
                output,
                attached.map(|file| file.name.to_string()),
                attached.map(|file| file.content.to_vec()),
                signed(now_ms()),
                again,
                card.transpose().map_err(|error| StoreError::Corrupt(format!("outbox card: {error}")))?,
            ])?;
        Ok(())
    }

    /// The last delivery that is there; the next one gets a higher number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn last_delivery(&self) -> Result<DeliveryId, StoreError> {
        let last: Option<i64> =
            self.read().prepare_cached("SELECT max(id) FROM outbox")?.query_row([], |row| row.get(0))?;
        Ok(DeliveryId(last.map_or(0, unsigned)))
    }

    /// What is not delivered yet and comes after `after`, oldest first, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn unsent(&self, after: DeliveryId, most: usize) -> Result<Vec<(DeliveryId, Act, bool)>, StoreError> {
        let mut statement = self.read().prepare_cached(
            "SELECT id, kind, channel, post, reply_id, emoji, markup, output, attachment_name, attachment, again, card FROM outbox
             WHERE id > ?1 ORDER BY id LIMIT ?2",
        )?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![signed(after.0), most])?;
        let mut acts = Vec::new();
        while let Some(row) = rows.next()? {
            acts.push((DeliveryId(unsigned(row.get(0)?)), act(row)?, row.get(10)?));
        }
        Ok(acts)
    }

    /// Takes a delivery off: the server has it, or will never take it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delivered(&mut self, delivery: DeliveryId) -> Result<(), StoreError> {
        self.write()?.prepare_cached("DELETE FROM outbox WHERE id = ?1")?.execute([signed(delivery.0)])?;
        Ok(())
    }
}

fn act(row: &Row<'_>) -> Result<Act, StoreError> {
    let text = |column| row.get::<_, Option<String>>(column);
    let missing = |what: &str| StoreError::Corrupt(format!("outbox {what}"));
    let post = id(&row.get::<_, String>(3)?, "post")?;
    let emoji = || text(5)?.ok_or_else(|| missing("emoji"));
    let body = || {
        if let Some(card) = text(11)? {
            return Ok(Body::Card(serde_json::from_str(&card).map_err(|_| missing("card"))?));
        }
        let head = Text::cut(text(6)?.ok_or_else(|| missing("markup"))?);
        Ok::<_, StoreError>(match text(7)? {
            Some(output) => Body::Output { head, output: Text::cut(output) },
            None => Body::Markup(head),
        })
    };
    match row.get::<_, String>(1)?.as_str() {
        "reply" => Ok(Act::Reply {
            channel: id(&text(2)?.ok_or_else(|| missing("channel"))?, "channel")?,
            root: post,
            reply_id: Text::cut(text(4)?.ok_or_else(|| missing("reply id"))?),
            body: body()?,
            attachment: match (text(8)?, row.get::<_, Option<Vec<u8>>>(9)?) {
                (Some(name), Some(content)) => Some(Attachment {
                    name: Text::cut(name),
                    content: Bytes::new(content).map_err(|_| missing("attachment"))?,
                }),
                _ => None,
            },
        }),
        "edit" => Ok(Act::Edit { post, body: body()? }),
        "react" => Ok(Act::React { post, emoji: id(&emoji()?, "emoji")? }),
        "unreact" => Ok(Act::Unreact { post, emoji: id(&emoji()?, "emoji")? }),
        other => Err(StoreError::Corrupt(format!("outbox kind {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_proto::List;
    use bartizan_proto::card::{Card, Colour, Field};

    #[test]
    fn every_act_comes_out_of_the_outbox_as_it_went_in() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut store = Store::open(&folder.path().join("state.db")).expect("open");
        let post = "p".repeat(26).parse().expect("id");
        let channel = "c".repeat(26).parse().expect("id");
        let acts = [
            Act::Reply {
                channel,
                root: post,
                reply_id: Text::cut("r1"),
                body: Body::Output { head: Text::cut("head"), output: Text::cut("out") },
                attachment: Some(Attachment { name: Text::cut("a.txt"), content: Bytes::new(*b"x").expect("short") }),
            },
            Act::Edit { post, body: Body::Markup(Text::cut("new")) },
            Act::Reply {
                channel,
                root: post,
                reply_id: Text::cut("r2"),
                body: Body::Card(Box::new(Card {
                    colour: Colour::Danger,
                    title: Text::cut("title"),
                    text: Text::cut("<\"text\">"),
                    fields: List::cut([Field { name: Text::cut("a"), value: Text::cut("b"), short: true }]),
                })),
                attachment: None,
            },
            Act::React { post, emoji: "x".parse().expect("emoji") },
            Act::Unreact { post, emoji: "x".parse().expect("emoji") },
        ];
        for (number, act) in (1..).zip(&acts) {
            store.send(DeliveryId(number), act, false).expect("send");
        }
        assert_eq!(store.last_delivery().expect("read"), DeliveryId(5));
        let unsent = store.unsent(DeliveryId(0), 10).expect("read");
        assert_eq!(unsent.iter().map(|(_, act, _)| act.clone()).collect::<Vec<_>>(), acts);
        store.delivered(unsent[0].0).expect("delivered");
        assert_eq!(store.unsent(DeliveryId(0), 10).expect("read").len(), 4);
        assert_eq!(store.unsent(unsent[3].0, 10).expect("read").len(), 1);
    }
}
