//! What the core may order of which launcher. A pure function: the whole policy of the launcher is on this screen.

use super::Post;
use bartizan_proto::launcher::ToLauncher;
use bartizan_proto::version::Role;

/// Whether an order is carried out.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Never: whoever asks is not our core, or no longer.
    Deny,
    /// As often as it is asked.
    Allow,
}

/// The table. The number of descriptors is part of an order: one for a start, none for a kill.
pub fn permits(post: &Post, order: &ToLauncher, descriptors: usize) -> Permit {
    let fits = match (post, order) {
        (Post::Service { .. }, ToLauncher::Start { role: Role::Connector | Role::Worker, .. })
        | (Post::Egress { .. }, ToLauncher::Start { role: Role::Egress, .. }) => descriptors == 1,
        (Post::Service { .. }, ToLauncher::Start { role: Role::Egress, .. })
        | (Post::Egress { .. }, ToLauncher::Start { role: Role::Connector | Role::Worker, .. })
        | (_, ToLauncher::Start { role: Role::Core | Role::Launcher | Role::Control, .. }) => false,
        (_, ToLauncher::Kill { .. }) | (Post::Service { .. }, ToLauncher::Notify(_)) => descriptors == 0,
        // systemd listens to the main process alone.
        (Post::Egress { .. }, ToLauncher::Notify(_)) => false,
    };
    if fits { Permit::Allow } else { Permit::Deny }
}

/// The program of a role, beside the launcher's own.
pub fn program(role: Role) -> &'static str {
    match role {
        Role::Core => "bartizan-broker",
        Role::Launcher => super::PROGRAM,
        Role::Egress => "bartizan-egress",
        Role::Connector => "bartizan-connector",
        Role::Worker => "bartizan-worker",
        Role::Control => "bartizan",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_proto::launcher::{ChildId, Notice};
    use rustix::process::Pid;

    const ROLES: [Role; 6] = [Role::Core, Role::Launcher, Role::Egress, Role::Connector, Role::Worker, Role::Control];

    fn started_by(post: &Post) -> Vec<Role> {
        let start = |role| ToLauncher::Start { child: ChildId(1), role };
        ROLES.into_iter().filter(|role| permits(post, &start(*role), 1) == Permit::Allow).collect()
    }

    fn service() -> Post {
        let pid = Pid::from_raw(2).expect("not 0");
        Post::Service { core: pid, egress_launcher: pid }
    }

    fn egress() -> Post {
        let pid = Pid::from_raw(2).expect("not 0");
        Post::Egress { main: pid, core: pid }
    }

    #[test]
    fn each_launcher_starts_its_own_roles_only() {
        assert_eq!(started_by(&service()), [Role::Connector, Role::Worker]);
        assert_eq!(started_by(&egress()), [Role::Egress]);
    }

    #[test]
    fn an_order_with_too_few_or_too_many_descriptors_is_denied() {
        let start = ToLauncher::Start { child: ChildId(1), role: Role::Worker };
        let kill = ToLauncher::Kill { child: ChildId(1) };
        for descriptors in [0, 2, 4] {
            assert_eq!(permits(&service(), &start, descriptors), Permit::Deny);
        }
        assert_eq!(permits(&service(), &kill, 0), Permit::Allow);
        assert_eq!(permits(&service(), &kill, 1), Permit::Deny);
        let beat = ToLauncher::Notify(Notice::Watchdog);
        assert_eq!([permits(&service(), &beat, 0), permits(&service(), &beat, 1)], [Permit::Allow, Permit::Deny]);
        assert_eq!(permits(&egress(), &beat, 0), Permit::Deny);
    }
}
