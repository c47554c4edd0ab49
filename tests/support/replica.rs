//! Which processes of a platform are meant.

use super::Role;

/// One process of a role, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replica {
    pub(crate) role: Role,
    pub(crate) index: usize,
}

/// Every process of a role, or one of them. Made from a [`Role`] or a [`Replica`], so that a story names either.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    All(Role),
    One(Replica),
}

impl Role {
    pub(crate) fn replica(self, index: usize) -> Replica {
        Replica { role: self, index }
    }
}

impl Which {
    pub(super) fn includes(self, replica: Replica) -> bool {
        match self {
            Self::All(role) => role == replica.role,
            Self::One(one) => one == replica,
        }
    }
}

impl From<Role> for Which {
    fn from(role: Role) -> Self {
        Self::All(role)
    }
}

impl From<Replica> for Which {
    fn from(replica: Replica) -> Self {
        Self::One(replica)
    }
}
