//! What a platform is made of.

use crate::support::{Replica, Role};

/// What the platform is made of. The same stories hold for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `playgate serve all` on SQLite.
    AllInOne,
    /// Gateway, account, setting and pay as processes of their own, found by a static list, on MariaDB.
    FourRolesMariadb,
    /// Two gateways, two accounts, a setting and a pay, as processes of their own that find each other through Nacos,
    /// on MariaDB and Redis.
    FleetOnNacos,
}

impl Shape {
    /// The role that has the public listener.
    pub(super) fn front(self) -> Role {
        match self {
            Self::AllInOne => Role::All,
            Self::FourRolesMariadb | Self::FleetOnNacos => Role::Gateway,
        }
    }

    /// The processes. Who is asked comes before who asks.
    pub(super) fn replicas(self) -> Vec<Replica> {
        use Role::{Account, All, Gateway, Pay, Setting};
        let counted: &[(Role, usize)] = match self {
            Self::AllInOne => &[(All, 1)],
            Self::FourRolesMariadb => &[(Account, 1), (Setting, 1), (Pay, 1), (Gateway, 1)],
            Self::FleetOnNacos => &[(Account, 2), (Setting, 1), (Pay, 1), (Gateway, 2)],
        };
        counted.iter().flat_map(|(role, count)| (0..*count).map(|index| role.replica(index))).collect()
    }
}
