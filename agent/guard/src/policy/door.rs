//! Where a request is stopped, which decides what else there is to do.

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// At a guarded socket, beside which there is the engine's own.
    Socket,
    /// In the engine itself, which asks before every request.
    Plugin,
}

impl Door {
    /// The one way to delete a volume.
    pub fn one_way(self) -> &'static str {
        match self {
            Self::Socket => {
                "Volumes are never deleted through this socket; the only way is `docker volume rm NAME` with Docker's own socket, on \
                 the server, as root, after a backup"
            }
            Self::Plugin => {
                "Docker deletes no volumes on this server; the only way is `wharfd volume delete NAME`, on the server, as root, \
                 after a backup"
            }
        }
    }

    /// How to do what the guard does not let through.
    pub fn past(self) -> &'static str {
        match self {
            Self::Socket => "as root on the server, past the guard",
            Self::Plugin => "while the guard is out of the engine (`wharfd guard plugin remove`)",
        }
    }
}
