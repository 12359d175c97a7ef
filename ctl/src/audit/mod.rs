//! `bartizan audit …`: reads the log's files itself, as whoever runs it may, and asks the core for what only the core does.

pub(crate) mod arguments;
mod entries;
mod export;
mod follow;
mod forward;
mod place;
mod show;
mod verify;

pub use arguments::AuditCommand;
pub(crate) use entries::Fields;

use crate::ask::ask;
use crate::commands::Out;
use crate::exit::{CtlError, Exit};
use bartizan_proto::control::{Answer, Request};
use place::Place;
use std::path::Path;

/// Runs one of them. `reading` is the socket for what only ever reads.
///
/// # Errors
/// [`CtlError`].
pub(crate) fn run(command: &AuditCommand, (socket, reading): (&Path, &Path), out: &Out) -> Result<Exit, CtlError> {
    match command {
        AuditCommand::Verify { file, key, checkpoint } => {
            verify::run(&Place::find(file.as_deref(), socket)?, key.as_deref(), checkpoint, out)
        }
        AuditCommand::Show { file, last, filter } => {
            show::run(&Place::find(file.as_deref(), socket)?, *last, filter, out)
        }
        AuditCommand::Follow { file, last, filter } => {
            follow::run(&Place::find(file.as_deref(), socket)?, *last, filter, out)
        }
        AuditCommand::Export { file, format, filter } => {
            export::run(&Place::find(file.as_deref(), socket)?, *format, filter)
        }
        AuditCommand::Forward { file, to, address, state, from_start } => {
            let place = Place::find(file.as_deref(), socket)?;
            forward::run(&place, *to, address.as_deref(), state.as_deref(), *from_start)
        }
        AuditCommand::Serve { listen, hosts } => crate::page::serve(listen, hosts, reading),
        AuditCommand::Prune { older_than } => {
            let request = Request::AuditPrune { older_than_s: older_than.seconds };
            let Answer::AuditPruned(pruned) = ask(socket, &request)? else { return Err(CtlError::WrongAnswer) };
            out.give(&pruned, |_| match pruned.lines {
                0 => format!("Nothing is older than {}.\n", older_than.text),
                lines => format!("{lines} lines are gone, up to line {}. The log says so.\n", pruned.through),
            })
        }
        AuditCommand::RotateKey => {
            let Answer::AuditHead(head) = ask(socket, &Request::AuditRotateKey)? else {
                return Err(CtlError::WrongAnswer);
            };
            out.give(&head, |_| format!("Signed from line {} on by\n{}\n", head.sequence, head.public_key.as_str()))
        }
    }
}
