//! What a token permits.

/// A role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// To look: figures, queues, attempts, nodes, deliveries.
    Read,
    /// To look, and to have deliveries made again.
    Operate,
    /// To tell what happens in queues outside FreeSWITCH, and nothing else: a chat server needs to see no caller.
    Ingest,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Read, Self::Operate, Self::Ingest, Self::Admin];

    /// The name as it is written in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Ingest => "ingest",
            Self::Admin => "admin",
        }
    }

    /// Whether it permits what `needed` does.
    pub const fn permits(self, needed: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::Operate => matches!(needed, Self::Operate | Self::Read),
            Self::Read => matches!(needed, Self::Read),
            Self::Ingest => matches!(needed, Self::Ingest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_tells_does_not_see_and_whoever_sees_does_not_tell() {
        let permitted = |role: Role| Role::ALL.map(|needed| role.permits(needed));
        assert_eq!(permitted(Role::Read), [true, false, false, false]);
        assert_eq!(permitted(Role::Operate), [true, true, false, false]);
        assert_eq!(permitted(Role::Ingest), [false, false, true, false]);
        assert_eq!(permitted(Role::Admin), [true; 4]);
    }
}
