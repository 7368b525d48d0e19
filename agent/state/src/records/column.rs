//! Values as columns hold them: identities and times as text, shapes that belong to others as JSON.

use crate::StateError;
use rusqlite::Row;
use serde::{Serialize, de::DeserializeOwned};
use std::str::FromStr;
use wharf_proto::JobId;

/// Reads a text column through [`FromStr`].
pub(super) fn text<T>(row: &Row<'_>, name: &'static str) -> Result<T, StateError>
where
    T: FromStr,
    T::Err: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    row.get_ref(name)?
        .as_str()
        .map_err(Into::into)
        .and_then(|text| T::from_str(text).map_err(Into::into))
        .map_err(|e: Box<dyn std::error::Error + Send + Sync>| StateError::Corrupt { what: name, source: e })
}

/// As [`text`], for a column that may be null.
pub(super) fn optional_text<T>(row: &Row<'_>, name: &'static str) -> Result<Option<T>, StateError>
where
    T: FromStr,
    T::Err: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match row.get_ref(name)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => text(row, name).map(Some),
    }
}

/// Reads a JSON column.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, name: &'static str) -> Result<T, StateError> {
    let text = row.get_ref(name)?.as_str().map_err(|e| StateError::corrupt(name, e))?;
    serde_json::from_str(text).map_err(|e| StateError::corrupt(name, e))
}

/// As [`json`], for a column that may be null.
pub(super) fn optional_json<T: DeserializeOwned>(
    row: &Row<'_>,
    name: &'static str,
) -> Result<Option<T>, StateError> {
    match row.get_ref(name)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => json(row, name).map(Some),
    }
}

/// What a JSON column will hold.
pub(super) fn to_json<T: Serialize + ?Sized>(what: &'static str, value: &T) -> Result<String, StateError> {
    serde_json::to_string(value).map_err(|e| StateError::corrupt(what, e))
}

/// A job as SQLite counts; no job has a number beyond.
pub(super) fn job_number(job: JobId) -> i64 {
    i64::try_from(job.0).unwrap_or(i64::MAX)
}

/// Reads a job's number.
pub(super) fn job(row: &Row<'_>, name: &'static str) -> Result<JobId, StateError> {
    let number: i64 = row.get(name)?;
    u64::try_from(number).map(JobId).map_err(|e| StateError::corrupt(name, e))
}
