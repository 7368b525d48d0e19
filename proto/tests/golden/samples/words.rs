//! Enums that are single words on the wire.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Debug;
use wharf_proto::doctor::DiskUse;
use wharf_proto::event::Level;
use wharf_proto::message::PackEncoding;
use wharf_proto::migration::MigrationState;
use wharf_proto::plan::{ContainerAction, ImageAction};
use wharf_proto::spec::VolumeMode;
use wharf_proto::version::Feature;
use wharf_proto::{FailureKind, Step};

/// Every value of an enum without fields. The match is total: a new variant must be listed here, and then changes the golden.
macro_rules! values {
    ($function:ident, $enum:ident: $($variant:ident),+ $(,)?) => {
        fn $function() -> Vec<$enum> {
            let all = vec![$($enum::$variant),+];
            for value in &all {
                match value { $($enum::$variant => {}),+ }
            }
            all
        }
    };
}

values!(steps, Step: Plan, Backup, Build, Apply, Migrate, Start, Verify, Commit, PutBack, Prune, Restore, Check,
    Swap, Drill, Hook, Restart, Scale, Leave, Unknown);
values!(levels, Level: Info, Warning, Unknown);
values!(encodings, PackEncoding: Zip, Zstd, Unknown);
values!(features, Feature: Dumps, Unknown);
values!(images, ImageAction: Build, Reuse, Pull, Keep, Unknown);
values!(containers, ContainerAction: Create, Recreate, Keep, Remove, Unknown);
values!(volume_modes, VolumeMode: Live, Pause, Stop);
values!(migrations, MigrationState: Applied, Pending, Edited, Unfinished, Missing, Unknown);
values!(disk_uses, DiskUse: State, Docker, App, Unknown);
values!(failures, FailureKind:
    Config, Refused, Consent, Unreachable, Unauthorized, Unsupported, Busy, NotFound, Backup, Build, Migration, Hook, Start, Verify,
    Environment, Internal, Unknown,
);

/// The words of each enum, which were read back.
pub fn all() -> BTreeMap<&'static str, Vec<Value>> {
    BTreeMap::from([
        ("container_action", words(containers())),
        ("disk_use", words(disk_uses())),
        ("failure_kind", words(failures())),
        ("feature", words(features())),
        ("image_action", words(images())),
        ("level", words(levels())),
        ("migration_state", words(migrations())),
        ("pack_encoding", words(encodings())),
        ("step", words(steps())),
        ("volume_mode", words(volume_modes())),
    ])
}

fn words<T: Serialize + DeserializeOwned + PartialEq + Debug>(values: Vec<T>) -> Vec<Value> {
    let word = |value: &T| {
        let word = serde_json::to_value(value).expect("a word is JSON");
        assert_eq!(&serde_json::from_value::<T>(word.clone()).expect("a word is read"), value);
        word
    };
    values.iter().map(word).collect()
}
