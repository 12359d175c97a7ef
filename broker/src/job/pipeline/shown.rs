//! One post that shows a pipeline's tasks, edited when one begins or ends: one edit at a time, and the newest state wins.

use crate::core::{Core, CoreError};
use crate::words;
use bartizan_proto::Text;
use bartizan_proto::connector::{Act, Body, Delivered, DeliveryId};
use bartizan_proto::ids::{JobId, PostId};

/// How a pipeline is shown.
#[derive(Debug, Default)]
pub(super) struct Overview {
    place: Place,
    /// What the server has, or will have in a moment.
    said: String,
}

#[derive(Debug, Default, Clone, Copy)]
enum Place {
    /// There is no post yet.
    #[default]
    Nowhere,
    /// It is being written.
    Ordered(DeliveryId),
    /// It is there.
    At(PostId),
    /// It is there, and being changed.
    Changing(PostId, DeliveryId),
    /// There will be none.
    Never,
}

impl Overview {
    /// Of a pipeline that another run of the service began to show.
    pub(super) fn never() -> Self {
        Self { place: Place::Never, said: String::new() }
    }
}

/// What was said of a pipeline that is over, and is to stand in its post.
#[derive(Debug)]
pub(super) struct LastWords {
    delivery: DeliveryId,
    post: Option<PostId>,
    text: String,
}

impl Core {
    /// Its tasks have changed.
    pub(super) fn show_pipeline(&mut self, whole: JobId) -> Result<(), CoreError> {
        let Some(going) = self.jobs.pipelines.all.get(&whole) else { return Ok(()) };
        if going.pipeline.tasks().is_empty() {
            return Ok(());
        }
        let (name, tasks) = (going.intent.script.as_str(), going.pipeline.tasks());
        let text = words::pipeline::overview(name, whole, tasks, |line| self.without_secrets(line));
        if text == going.overview.said {
            return Ok(());
        }
        let place = match going.overview.place {
            Place::Ordered(_) | Place::Changing(..) | Place::Never => return Ok(()),
            Place::Nowhere => {
                let (channel, post, root) = (going.intent.channel, going.intent.post, going.intent.root);
                self.reply(channel, post, root, "pipeline", text.clone())?;
                Place::Ordered(self.outbox.written)
            }
            Place::At(post) => {
                self.send(&Act::Edit { post, body: Body::Markup(Text::cut(text.clone())) }, false)?;
                Place::Changing(post, self.outbox.written)
            }
        };
        if let Some(going) = self.jobs.pipelines.all.get_mut(&whole) {
            going.overview.place = place;
            going.overview.said = text;
        }
        Ok(())
    }

    /// It is over: its post says so as soon as it can.
    pub(super) fn show_pipeline_end(&mut self, whole: JobId) -> Result<(), CoreError> {
        self.show_pipeline(whole)?;
        let Some(going) = self.jobs.pipelines.all.get(&whole) else { return Ok(()) };
        let (delivery, post) = match going.overview.place {
            Place::Ordered(delivery) => (delivery, None),
            Place::Changing(post, delivery) => (delivery, Some(post)),
            Place::Nowhere | Place::At(_) | Place::Never => return Ok(()),
        };
        let (name, tasks) = (going.intent.script.as_str(), going.pipeline.tasks());
        let text = words::pipeline::overview(name, whole, tasks, |line| self.without_secrets(line));
        if text != going.overview.said {
            self.jobs.pipelines.last_words.push(LastWords { delivery, post, text });
        }
        Ok(())
    }

    /// A delivery ended that may have been such a post, or a change of one.
    pub(crate) fn pipeline_delivered(&mut self, delivery: DeliveryId, outcome: &Delivered) -> Result<(), CoreError> {
        let posted = match outcome {
            Delivered::Posted(post) => Some(*post),
            Delivered::Done | Delivered::Rejected { .. } => None,
        };
        if let Some(place) = self.jobs.pipelines.last_words.iter().position(|last| last.delivery == delivery) {
            let LastWords { post, text, .. } = self.jobs.pipelines.last_words.swap_remove(place);
            let Some(post) = post.or(posted) else { return Ok(()) };
            return self.send(&Act::Edit { post, body: Body::Markup(Text::cut(text)) }, false);
        }
        let shown = self.jobs.pipelines.all.iter_mut().find(|(_, going)| match going.overview.place {
            Place::Ordered(ordered) | Place::Changing(_, ordered) => ordered == delivery,
            Place::Nowhere | Place::At(_) | Place::Never => false,
        });
        let Some((whole, going)) = shown else { return Ok(()) };
        going.overview.place = match (going.overview.place, posted) {
            (Place::Changing(post, _), _) | (_, Some(post)) => Place::At(post),
            _ => Place::Never,
        };
        let whole = *whole;
        self.show_pipeline(whole)
    }
}
