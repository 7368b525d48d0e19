//! What root is still allowed inside.
//!
//! **Invariant**: nothing in the list undoes a mount, reaches another process, a device, or a file by its number. Root in a
//! user namespace of its own has the rest again, but not over the mounts that it was given: those are locked there.

use super::SandboxError;
use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl;

const KEPT: [Capability; 9] = [
    Capability::CAP_AUDIT_WRITE,
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_KILL,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
];

pub(super) fn give_up() -> Result<(), SandboxError> {
    let kept: CapsHashSet = KEPT.into_iter().collect();
    for capability in caps::runtime::thread_all_supported() {
        if !kept.contains(&capability) && caps::has_cap(None, CapSet::Bounding, capability)? {
            caps::drop(None, CapSet::Bounding, capability)?;
        }
    }
    let had = caps::read(None, CapSet::Permitted)?;
    let left: CapsHashSet = had.intersection(&kept).copied().collect();
    caps::clear(None, CapSet::Ambient)?;
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new())?;
    caps::set(None, CapSet::Effective, &left)?;
    caps::set(None, CapSet::Permitted, &left)?;
    prctl::set_no_new_privs().map_err(SandboxError::NoNewPrivileges)
}
