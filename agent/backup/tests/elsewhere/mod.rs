//! Servers that copies go to, as places.

use std::path::Path;
use wharf_backup::{Place, S3Place, SftpPlace};
use wharf_tests::{S3, Sshd, s3::BUCKET};

pub fn sftp(sshd: &Sshd, path: &Path) -> Place {
    let (identity, known_hosts) = sshd.let_in_a_new_key();
    Place::Sftp(SftpPlace {
        host: sshd.host(),
        path: path.to_str().unwrap().to_owned(),
        identity: Some(identity),
        known_hosts: Some(known_hosts),
    })
}

pub fn s3(server: &S3, prefix: &str) -> Place {
    let (access, secret) = server.credentials();
    Place::S3(S3Place {
        endpoint: server.endpoint(),
        bucket: BUCKET.into(),
        prefix: prefix.into(),
        region: "us-east-1".into(),
        access_key_file: Some(access),
        secret_key_file: Some(secret),
        virtual_host: false,
    })
}
