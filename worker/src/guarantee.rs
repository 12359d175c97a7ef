//! Which layers give which guarantee: one table, a pure function.
//!
//! A guarantee is given when one of its alternatives is in force whole. Where a layer only makes something harder it is not
//! listed, so that the table never promises more than the kernel keeps.

use bartizan_proto::List;
use bartizan_proto::worker::Layer::{
    Capabilities, LandlockFiles, LandlockScope, Limits, MountNamespace, NetworkNamespace, NoNewPrivileges, OwnUser,
    PidNamespace, Seccomp, UserNamespace,
};
use bartizan_proto::worker::{Given, Guarantee, InForce, Layer, LayerState};

/// The alternatives for one guarantee. `network` says whether the job was granted any, `sockets` whether it may make Unix sockets.
fn alternatives(guarantee: Guarantee, network: bool, sockets: bool) -> &'static [&'static [Layer]] {
    match guarantee {
        // A root with nothing else in it, or rules on every open.
        Guarantee::FilesRead | Guarantee::FilesWrite => &[&[MountNamespace], &[LandlockFiles]],
        // noexec on everything that can be written, and no memfd. Landlock alone is not enough: it does not see the
        // dynamic loader map a program (`ld.so ./program`), which noexec does.
        Guarantee::Programs => &[&[MountNamespace, Seccomp]],
        // Nothing held, nothing gained by exec, no user namespace to be almighty in. (Its own namespace's limit of zero
        // further ones is a second net and not counted.)
        Guarantee::Privileges => &[&[NoNewPrivileges, Capabilities, Seccomp]],
        Guarantee::Signals => &[&[PidNamespace], &[LandlockScope], &[OwnUser]],
        // A user namespace suffices: tracing into another one needs CAP_SYS_PTRACE there (security/commoncap.c).
        Guarantee::Tracing => &[&[UserNamespace], &[LandlockFiles], &[OwnUser]],
        // With a grant, a network with nothing in it but the relay's listeners, and no sockets but TCP's: some kinds
        // (vsock) know no namespaces. Without one, a network with nothing in it, or no sockets at all. Landlock alone is not
        // enough: it does not see addresses, nor UDP.
        Guarantee::Network if network => &[&[NetworkNamespace, Seccomp]],
        Guarantee::Network => &[&[NetworkNamespace], &[Seccomp]],
        // No socket() for Unix sockets, and no datagram pair that could be pointed at one. A private root is not enough: a
        // granted directory may hold sockets, and read-only mounts do not stop connect().
        // Where it may make them, all that remains is that there is none but its own: no other's in its root (the core grants no
        // directory with one but that of the daemon which the order names) and in its network, whose abstract names are its own.
        Guarantee::UnixSockets if sockets => &[&[MountNamespace, NetworkNamespace]],
        Guarantee::UnixSockets => &[&[Seccomp]],
        Guarantee::KernelSurface => &[&[Seccomp]],
        Guarantee::Resources => &[&[Limits]],
        // The subreaper that stands in for it can itself be killed.
        Guarantee::Lifetime => &[&[PidNamespace]],
    }
}

/// Each guarantee, and the layers in force that give it.
pub(crate) fn given(layers: &[InForce], network: bool, sockets: bool) -> Vec<Given> {
    let on = |layer: &Layer| layers.iter().any(|l| l.layer == *layer && l.state == LayerState::On);
    Guarantee::ALL
        .iter()
        .map(|guarantee| {
            let mut by: Vec<Layer> = Vec::new();
            for alternative in alternatives(*guarantee, network, sockets) {
                if alternative.iter().all(on) {
                    by.extend(alternative.iter().copied());
                }
            }
            by.sort_unstable();
            by.dedup();
            Given { guarantee: *guarantee, by: List::cut(by) }
        })
        .collect()
}

/// The first required guarantee that nothing gives.
pub(crate) fn missing(given: &[Given], require: &[Guarantee]) -> Option<Guarantee> {
    require.iter().copied().find(|wanted| !given.iter().any(|g| g.guarantee == *wanted && !g.by.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_proto::Text;

    fn on(layers: &[Layer]) -> Vec<InForce> {
        layers.iter().map(|layer| InForce { layer: *layer, state: LayerState::On, detail: Text::default() }).collect()
    }

    #[test]
    fn nothing_in_force_gives_nothing() {
        assert!(given(&[], false, false).iter().all(|given| given.by.is_empty()));
        assert_eq!(missing(&given(&[], false, false), &[Guarantee::Lifetime]), Some(Guarantee::Lifetime));
        assert_eq!(missing(&given(&[], false, false), &[]), None);
    }

    #[test]
    fn a_layer_that_is_off_or_unavailable_gives_nothing() {
        for state in [LayerState::Off, LayerState::Unavailable] {
            let layers = [InForce { layer: Limits, state, detail: Text::default() }];
            assert_eq!(missing(&given(&layers, false, false), &[Guarantee::Resources]), Some(Guarantee::Resources));
        }
    }

    #[test]
    fn an_alternative_counts_only_whole() {
        let half = given(&on(&[MountNamespace]), false, false);
        assert_eq!(missing(&half, &[Guarantee::FilesRead]), None);
        assert_eq!(missing(&half, &[Guarantee::Programs]), Some(Guarantee::Programs));
        let whole = given(&on(&[MountNamespace, Seccomp]), false, false);
        assert_eq!(missing(&whole, &[Guarantee::Programs]), None);
    }

    #[test]
    fn with_a_network_grant_the_guarantee_takes_the_namespace_and_the_socket_rule() {
        for half in [NetworkNamespace, Seccomp] {
            let layers = on(&[half]);
            assert_eq!(missing(&given(&layers, false, false), &[Guarantee::Network]), None);
            assert_eq!(
                missing(&given(&layers, true, false), &[Guarantee::Network]),
                Some(Guarantee::Network),
                "{half:?}"
            );
        }
        assert_eq!(missing(&given(&on(&[NetworkNamespace, Seccomp]), true, false), &[Guarantee::Network]), None);
    }

    #[test]
    fn who_may_make_unix_sockets_must_be_alone_with_them() {
        for half in [&[Seccomp][..], &[MountNamespace, Seccomp], &[NetworkNamespace, Seccomp]] {
            let given = given(&on(half), false, true);
            assert_eq!(missing(&given, &[Guarantee::UnixSockets]), Some(Guarantee::UnixSockets), "{half:?}");
        }
        let alone = given(&on(&[MountNamespace, NetworkNamespace]), false, true);
        assert_eq!(missing(&alone, &[Guarantee::UnixSockets]), None);
    }

    #[test]
    fn all_guarantees_are_given_where_the_kernel_has_everything() {
        let layers = on(&[
            Limits,
            Capabilities,
            NoNewPrivileges,
            UserNamespace,
            PidNamespace,
            MountNamespace,
            NetworkNamespace,
            LandlockFiles,
            LandlockScope,
            Seccomp,
        ]);
        assert_eq!(missing(&given(&layers, false, false), &Guarantee::ALL), None);
        assert_eq!(missing(&given(&layers, true, true), &Guarantee::ALL), None);
        assert_eq!(missing(&given(&layers, true, false), &Guarantee::ALL), None);
    }
}
